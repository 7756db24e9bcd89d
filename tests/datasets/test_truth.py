"""CSV files of true labels: what is refused, with its line."""

from pathlib import Path

import pytest

from caffe_compat.datasets.truth import read_truth
from caffe_compat.errors import DataError


def test_other_columns_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text('key,split,true\n"a,1",train,2\nb,test,0\n')
    assert read_truth(tmp_path / "truth.csv", 3) == {"a,1": 2, "b": 0}


def test_a_list_will_do(tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_text("a,1 b.jpg 2\nb.jpg 0\n\nc.jpg 1\n")
    assert read_truth(tmp_path / "val.txt", 3) == {"a,1 b.jpg": 2, "b.jpg": 0, "c.jpg": 1}
    with pytest.raises(DataError, match=r"val.txt:1: true: expected a whole number in \[0, 2\), got '2'"):
        read_truth(tmp_path / "val.txt", 2)
    (tmp_path / "val.txt").write_text("a.jpg 1\nb.jpg one\n")
    with pytest.raises(DataError, match='val.txt:2: expected a line "path label"'):
        read_truth(tmp_path / "val.txt", 2)


@pytest.mark.parametrize("text", ["3", "-1", "1.5", "", "\u0663", "9" * 5000], ids=lambda text: text[:8] or "none")
def test_what_is_no_label(tmp_path: Path, text: str) -> None:
    (tmp_path / "truth.csv").write_text(f"key,true\na,0\nb,{text}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"truth.csv:3: true: expected a whole number in \[0, 3\), got"):
        read_truth(tmp_path / "truth.csv", 3)


def test_a_row_that_is_no_csv_is_named(tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text("key,true\na,0\n" + "b" * 200_000 + ",0\n", encoding="utf-8")
    with pytest.raises(DataError, match="truth.csv:3: not a CSV row: field larger"):
        read_truth(tmp_path / "truth.csv", 3)
