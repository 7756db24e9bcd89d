"""What the figures show, read back from their artists; what they look like is for people to judge."""

from __future__ import annotations

import numpy as np
import pytest

from caffe_compat.evaluation.figures.calibration import Claim, draw_calibration
from caffe_compat.evaluation.figures.choosing import choose_records
from caffe_compat.evaluation.figures.confusion_estimate import counted_confusion, draw_confusion_estimate
from caffe_compat.evaluation.figures.label_confusion import Confused, draw_label_confusion, worst_pairs
from caffe_compat.evaluation.figures.predictions import Example, draw_predictions
from caffe_compat.evaluation.figures.rank_precision import Ranking, draw_rank_precision
from caffe_compat.evaluation.figures.style import line_style
from caffe_compat.evaluation.figures.training import draw_training
from caffe_compat.evaluation.metrics import auroc, average_precision, rank_precision

pytest.importorskip("matplotlib")

NAMES = ["coat", "dress", "shirt"]
COUNTS = np.array([[6, 1, 0], [3, 8, 0], [1, 1, 0]])  # [noisy, true]; no shirt is true


def texts(axes):
    return [text.get_text() for text in axes.texts]


def legend(where):
    return "\n".join(text.get_text() for text in where.get_texts())


def test_label_confusion_shows_shares_and_both_frequencies():
    figure = draw_label_confusion(COUNTS, NAMES, worst=2)
    bars, heat = figure.axes[:2]
    assert [bar.get_height() for bar in bars.patches] == pytest.approx([50, 50, 0, 35, 55, 10])
    shares = np.array([[0.6, 0.1, 0], [0.3, 0.8, 0], [0.1, 0.1, 0]])
    assert np.asarray(heat.images[0].get_array()) == pytest.approx(shares)
    assert {text.get_position(): text.get_text() for text in heat.texts}[0, 1] == "30"  # column true, row noisy
    assert len(heat.texts) == 6  # none in the column without images
    assert bars.get_title(loc="left") == "20 images, 70.00% of the noisy labels right"
    assert [patch.get_xy() for patch in heat.patches] == [(-0.5, 0.5), (0.5, -0.5)]
    assert "coat labelled dress 30%,  dress labelled coat 10%" in figure.get_supxlabel()


def test_worst_pairs_are_by_share_of_the_class():
    assert worst_pairs(np.array([[90, 3], [10, 1]]), 5) == [Confused(1, 0, 0.75), Confused(0, 1, 0.1)]
    assert worst_pairs(np.eye(3, dtype=int), 5) == []


def test_many_classes_have_no_numbers():
    heat = draw_label_confusion(np.eye(30, dtype=int), [str(n) for n in range(30)]).axes[1]
    assert texts(heat) == []


def rankings(seeds):
    made = []
    for seed in range(seeds):
        random = np.random.default_rng(seed)
        wrong = random.random(300) < 0.4
        made.append(Ranking({"good": wrong + random.random(300), "none": random.random(300)}, wrong))
    return made


def test_rank_precision_curves_base_rate_and_numbers():
    (ranking,) = runs = rankings(1)
    figure = draw_rank_precision(runs, first=100)
    near, all_of_them = figure.axes
    curve = near.lines[0]
    assert curve.get_xdata().tolist() == list(range(1, 101))
    assert curve.get_ydata() == pytest.approx(rank_precision(ranking.scores["good"], ranking.is_wrong)[:100])
    assert all_of_them.lines[1].get_xdata()[-1] == 300
    for axes in figure.axes:
        assert set(axes.lines[-1].get_ydata()) == {ranking.is_wrong.mean()}
    words = legend(figure.legends[0])
    ap = average_precision(ranking.scores["good"], ranking.is_wrong)
    assert f"good\nAP {ap:.3f}, AUROC {auroc(ranking.scores['good'], ranking.is_wrong):.3f}" in words
    assert f"all labels: {ranking.is_wrong.mean():.3f} wrong" in words


def test_rank_precision_of_seeds_is_mean_and_range():
    runs = rankings(3)
    near = draw_rank_precision(runs, first=50).axes[0]
    curves = np.array([rank_precision(each.scores["none"], each.is_wrong)[:50] for each in runs])
    assert near.lines[1].get_ydata() == pytest.approx(curves.mean(axis=0))
    band = near.collections[1].get_paths()[0].vertices
    assert set(np.round(curves.min(axis=0), 9)) | set(np.round(curves.max(axis=0), 9)) <= set(np.round(band[:, 1], 9))
    values = [auroc(each.scores["none"], each.is_wrong) for each in runs]
    assert f"AUROC {np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}" in legend(near.figure.legends[0])


def test_calibration_lines_errors_and_histogram():
    probabilities, so = np.array([0.1, 0.1, 0.9, 0.9]), np.array([False, True, True, True])
    figure = draw_calibration([Claim("p", "right", [probabilities], [so])], bins=2)
    diagram, histogram = figure.axes
    _, width, mass = diagram.lines
    assert width.get_xydata() == pytest.approx(np.array([[0.1, 0.5], [0.9, 1.0]]))
    assert mass.get_xydata() == pytest.approx(np.array([[0.1, 0.5], [0.9, 1.0]]))
    assert "equal width: ECE 0.250" in legend(diagram.get_legend())
    assert [bar.get_height() for bar in histogram.patches] == [50, 50]
    assert diagram.get_ylabel() == "right in fact"


def test_calibration_of_runs_pools_records_and_averages_errors():
    runs = [np.array([0.2, 0.2]), np.array([0.2, 0.2])]
    so = [np.array([False, False]), np.array([True, False])]
    diagram = draw_calibration([Claim("p", "right", runs, so)], bins=5).axes[0]
    assert diagram.lines[1].get_ydata() == pytest.approx([0.25])
    assert "ECE 0.250 ± 0.071" in legend(diagram.get_legend())
    assert diagram.figure.get_suptitle() == "4 records of 2 runs; band: their range"
    assert diagram.collections[0].get_datalim(diagram.transData).intervaly.tolist() == [0, 0.5]


def test_confusion_estimate_scatter_and_differences():
    counts = np.array([[9, 3, 1], [2, 5, 1], [2, 1, 0]])
    counted = counted_confusion(counts)
    assert counted == pytest.approx(np.array([[0, 0.75, 0.5], [0.5, 0, 0.5], [0.5, 0.25, 0]]))
    estimated = np.array([[0, 1, 0.5], [0.5, 0, 0.5], [0.5, 0, 0]])
    true = np.array([[0, 0.9, 0.4], [0.5, 0, 0.6], [0.5, 0.1, 0]])
    figure = draw_confusion_estimate(estimated, counts, NAMES, true)
    scatter, first, second = figure.axes[:3]
    assert np.asarray(scatter.collections[0].get_offsets()) == pytest.approx(
        np.array([[0.75, 1], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.25, 0]])
    )
    assert np.asarray(first.images[0].get_array()) == pytest.approx(estimated - counted)
    assert np.asarray(second.images[0].get_array()) == pytest.approx(estimated - true)
    assert texts(first) == ["+25", "-25"]
    assert "against true: largest difference 0.10" in legend(scatter.get_legend())
    assert "1/(L-1) = 0.500" in legend(scatter.get_legend())
    assert len(draw_confusion_estimate(estimated, counts, NAMES).axes) == 3  # scatter, map, colour bar
    with pytest.raises(ValueError, match=r"true: expected shape \(3, 3\) as C has, got \(2, 2\)"):
        draw_confusion_estimate(estimated, counts, NAMES, true[:2, :2])


def test_training_is_mean_and_range_at_common_iterations():
    panels = {
        "accuracy": {"clean": [{0: 10.0, 5: 20.0}, {5: 30.0, 9: 50.0}], "ours": [{0: 1.0, 5: 2.0}]},
        "loss": {"ours": [{0: 3.0}]},
    }
    figure = draw_training(panels)
    top, bottom = figure.axes
    assert top.lines[0].get_xydata().tolist() == [[5, 25]]
    assert top.collections[0].get_datalim(top.transData).intervaly.tolist() == [20, 30]
    assert top.lines[1].get_xydata().tolist() == [[0, 1], [5, 2]]
    assert bottom.lines[0].get_color() == top.lines[1].get_color()
    assert legend(figure.legends[0]) == "clean (2 seeds)\nours"


def test_a_panel_is_as_high_as_what_comes_after_the_start():
    figure = draw_training({"loss": {"ours": [{0: 100.0, 5: 3.0, 10: 1.0}]}})
    assert figure.axes[0].get_ylim() == pytest.approx((0.9, 3.1))


def test_a_loss_that_diverged_has_no_place():
    runs = [{5: 3.0, 10: float("nan"), 15: float("inf"), 20: 1.0}]
    figure = draw_training({"loss": {"ours": runs}, "nothing": {"ours": [{5: float("nan")}, {10: 1.0}]}})
    assert figure.axes[0].get_ylim() == pytest.approx((0.9, 3.1))
    draw_training({"loss": {"ours": [{5: 1.0}, {10: 1.0}]}})  # no iteration that both have: no line, no legend


def test_no_two_of_a_dozen_methods_look_alike():
    styles = [line_style(number) for number in range(12)]
    for key in ("marker", "color"):
        assert len({(style[key], style["linestyle"]) for style in styles}) == 12


def example(truth=2):
    image = np.zeros((4, 4, 3), np.uint8)
    image[0, 0] = (255, 0, 0)
    types = np.array([0.2, 0.3, 0.5]), np.array([0.0, 0.1, 0.9])
    return Example(image, 1, truth, [(0, 0.6), (2, 0.3), (1, 0.1)], *types, [(2, 0.8), (1, 0.05)])


def test_predictions_show_image_labels_and_bars():
    figure = draw_predictions([("a row", [example(), example(None)]), ("short", [example()])], NAMES)
    axes = [each for row in figure.subfigs for each in row.axes]
    picture, bars = axes[:2]
    assert picture.images[0].get_array()[0, 0].tolist() == [255, 0, 0]
    assert picture.get_xlabel() == "noisy: dress\ntrue: shirt"
    assert axes[2].get_xlabel() == "noisy: dress"
    widths = [bar.get_width() for bar in bars.patches]
    assert widths == [0.6, 0.3, 0.1, 0.2, 0.0, 0.3, 0.1, 0.5, 0.9, 0.8, 0.05]
    labels = bars.get_yticklabels()
    kinds = ["free", "random", "confusing"]
    assert [label.get_text() for label in labels] == ["coat", "shirt", "dress", *kinds, "shirt", "dress"]
    assert [label.get_text() for label in labels if label.get_fontweight() == "bold"] == ["shirt", "shirt"]
    assert not axes[7].axison  # the place that the short row leaves


def test_records_are_chosen_by_rule_and_once():
    scores = {
        "p_type_free": np.array([0.9, 0.8, 0.1, 0.1, 0.99, 0.5]),
        "p_type_random": np.array([0.95, 0.1, 0.2, 0.2, 0.0, 0.1]),
        "p_type_confusing": np.array([0.0, 0.1, 0.7, 0.7, 0.0, 0.4]),
        "suggested": np.array([0, 1, 1, 1, 0, 2]),
        "noisy": np.array([0, 1, 0, 0, 1, 0]),
        "q_suggested": np.array([0.9, 0.9, 0.9, 0.8, 1.0, 0.6]),
    }
    eligible = np.array([True, True, True, True, False, True])
    chosen = choose_records(scores, eligible, per_group=1)
    assert [records.tolist() for _, records in chosen] == [[0], [2], [3], [5]]


@pytest.mark.parametrize(
    "draw, arguments, message",
    [
        (draw_label_confusion, (np.zeros((3, 3), int), NAMES), "at least one image, got none"),
        (draw_rank_precision, ([],), "rankings: expected at least one, got none"),
        (draw_rank_precision, ([Ranking({"s": np.ones(2)}, np.zeros(2, bool))],), "at least one positive"),
        (draw_calibration, ([],), "claims: expected at least one, got none"),
        (draw_training, ({},), "panels: expected at least one, got none"),
        (draw_predictions, ([("none", [])], NAMES), "at least one example, got none"),
    ],
)
def test_nothing_to_draw(draw, arguments, message):
    with pytest.raises(ValueError, match=message):
        draw(*arguments)
