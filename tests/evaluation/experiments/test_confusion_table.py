"""The estimated C beside the true one."""

import numpy as np

from caffe_compat.evaluation.experiments.confusion_table import confusion_table


def test_columns_are_true_classes_and_the_most_frequent_confusion_comes_first():
    estimated = np.array([[0, 0.25, 0], [0.4, 0, 0], [0.6, 0.75, 0]])  # [noisy, true]; nothing is known of "c"
    true = np.array([[0, 0.5, 1], [0.5, 0, 0], [0.5, 0.5, 0]])
    lines = [
        [cell.strip() for cell in line.split("|")] for line in confusion_table(estimated, true, "abc").splitlines()
    ]
    assert lines[2][1:4] == ["a (0)", "c 0.60, b 0.40", "b 0.50, c 0.50"]
    assert lines[3][1:4] == ["b (1)", "c 0.75, a 0.25", "a 0.50, c 0.50"]
    assert lines[4][1:4] == ["c (2)", "", "a 1.00"]
    assert lines[-1] == ["Largest difference between the two: 1.000"]


def test_a_bar_in_a_name_does_not_end_a_cell():
    table = confusion_table(np.eye(2), np.eye(2), ["a|b", "c"]).splitlines()
    assert table[2].split(" | ")[0].strip() == r"| a\|b (0)" and table[2].count("|") - table[2].count(r"\|") == 4
    assert len({len(line) for line in table[:4]}) == 1
