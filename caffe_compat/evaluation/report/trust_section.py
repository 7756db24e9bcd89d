"""The section on trust: what is assumed, and what was measured where the truth is known."""

from __future__ import annotations

from caffe_compat.evaluation.label_quality.calibration import Calibration
from caffe_compat.evaluation.report.charts import PERCENT_TICKS, Axis, line_chart
from caffe_compat.evaluation.report.content import Content, Trust
from caffe_compat.evaluation.report.markup import table


def trust_section(content: Content) -> str:
    calibration = content.info.calibration
    measured = _measured(content.trust) if content.trust else _not_measured(content.truth_seen, calibration is not None)
    return "\n".join(
        [
            '<section id="trust"><h2>How far to trust it</h2><h3>Assumed</h3><ul>',
            "<li>A given label is right, or drawn evenly from the other classes, or drawn from the true class's column "
            "of C. Which of the three happens depends on the image only.</li>",
            "<li>C is the same for all images of a class, and right: it was counted on the images with both "
            "labels.</li>",
            "<li>Every image belongs to exactly one of the classes.</li>",
            "<li>The net was trained on the labels that it judges. Where it has learned a wrong label by heart, that "
            "label looks right to it.</li></ul>",
            "<h3>Measured</h3>",
            "" if calibration is None else _calibrated(calibration),
            measured,
            "</section>",
        ]
    )


def _not_measured(truth_seen: int, is_calibrated: bool) -> str:
    why = (
        f"the net was trained with a clean label of all {truth_seen:,} images whose true label was given"
        if truth_seen
        else "no true label was given"
    )
    nothing = "Nothing else" if is_calibrated else "Nothing here"
    how_to_calibrate = (
        ""
        if is_calibrated
        else " <code>score_labels --lists</code> draws such images as <code>random_sample.csv</code>; with your "
        "decisions in it, <code>calibrate_scores</code> makes p(wrong) mean what it says."
    )
    others = "other images than those with a clean label" if truth_seen else "images"
    return (
        f"<p><strong>{nothing} is measured: {why}.</strong> Draw a few hundred {others} at random (not from "
        "the lists above, which hold what looks wrong), have them labelled carefully, and give them to "
        f"<code>score_labels --truth</code>: this section then shows calibration and precision.{how_to_calibrate}</p>"
    )


def _calibrated(found: Calibration) -> str:
    kind = (
        f"by {found.images:,} of these images that were looked at"
        if found.of_scored_images
        else f"by {found.images:,} other images whose truth is known"
    )
    measured_by = "; what is measured below counts them, too" if found.of_scored_images else ""
    return (
        f"<p>p(wrong) is calibrated {kind}: of their labels {found.wrong:,} are wrong, where it had expected "
        f"{found.expected_before:,.0f}. Its mean squared error was {found.error_before:.3f}, and is "
        f"{found.error_after:.3f} on labels that the calibration did not see{measured_by}.</p>"
    )


def _measured(trust: Trust) -> str:
    left_out = []
    if trust.without_truth:
        left_out.append(f"{trust.without_truth:,} images without known truth")
    if trust.seen_in_training:
        left_out.append(f"{trust.seen_in_training:,} whose clean label was in the training")
    finding = (
        f" p(wrong) finds the wrong labels with an average precision of {trust.average_precision:.3f} and an AUROC of "
        f"{trust.auroc:.3f}."
        if trust.average_precision is not None and trust.auroc is not None
        else ""
    )
    base = trust.wrong / trust.records
    used = trust.bins.count > 0
    share = Axis("share of labels that are wrong", 0, 1, PERCENT_TICKS)
    last = max(2, trust.records)
    ranks = Axis("images looked at, surest error first", 1, last, _rank_ticks(last), is_log=True)
    ranking = line_chart(
        trust.ranks, trust.precision, ranks, share, "Share of wrong labels among the first images of the list", base
    )
    calibration = line_chart(
        trust.bins.confidence[used], trust.bins.accuracy[used], Axis("p(wrong)", 0, 1, PERCENT_TICKS), share,
        "Share of wrong labels by p(wrong)", diagonal=True, weights=trust.bins.count[used] / trust.bins.count.max(),
    )  # fmt: skip
    rows = [
        [f"{low:.1f} to {high:.1f}", f"{count:,}", f"{confidence:.1%}", f"{accuracy:.1%}"]
        for low, high, count, confidence, accuracy in zip(
            trust.bins.edges[:-1][used], trust.bins.edges[1:][used], trust.bins.count[used],
            trust.bins.confidence[used], trust.bins.accuracy[used], strict=True,
        )
    ]  # fmt: skip
    return "\n".join(
        [
            f"<p>On {trust.records:,} images whose truth is known"
            + (f" (left out: {' and '.join(left_out)})" if left_out else "")
            + f": {trust.right_before:.1%} of the given labels are right; of the suggested ones "
            f"<strong>{trust.right_after:.1%}</strong>.{finding}</p>",
            "<div class='columns'><figure class='plot'><figcaption><b>Precision of the list.</b> Share of labels that "
            f"are wrong among the first so many; dashed: of all, {base:.1%}.</figcaption>{ranking}</figure>",
            "<figure class='plot'><figcaption><b>Calibration.</b> How often labels of each p(wrong) are wrong; on the "
            f"dashed line it means what it says. Expected calibration error {trust.calibration_error:.3f}."
            f"</figcaption>{calibration}</figure></div>",
            "<details><summary>Calibration as a table</summary>",
            table(["p(wrong)", "images", "mean p(wrong)", "measured wrong"], rows, 1),
            "</details>",
        ]
    )


def _rank_ticks(records: int) -> list[tuple[float, str]]:
    powers = [10**power for power in range(len(str(records)))]
    return [(float(power), f"{power:,}") for power in powers if power <= records]
