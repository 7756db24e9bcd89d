"""The label report as one self-contained page."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from importlib import resources

import numpy as np

from caffe_compat.evaluation.report.charts import PERCENT_TICKS, Axis, heat_map, line_chart
from caffe_compat.evaluation.report.content import Content, Example, ReportedPair, Trust

TYPE_NAMES = ("noise free", "pure random", "confusing")
_MOST_CLASSES_OF_HEAT_MAP = 60
_WORST = 10
_OPEN_GRIDS = 3


def page(content: Content) -> str:
    """The page: HTML, with style, script, charts and images inside."""
    files = resources.files(__package__)
    style, script = (files.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<link rel="icon" href="data:,"><title>Label report</title><style>{style}</style>',
        '<a class="skip" href="#labels">To the labels</a>',
        _head(content),
        _noise(content),
        _labels(content),
        _counts(content),
        _trust(content),
        _source(content),
        f"<script>{script}</script></html>",
    ]
    return "\n".join(parts)


# --- sections -----------------------------------------------------------------------------------------------------


def _head(content: Content) -> str:
    changed = sum(pair.records for pair in content.pairs if pair.noisy != pair.suggested)
    tiles = [
        (f"{content.records:,}", "labels judged"),
        (f"{content.expected_wrong:,.0f}", f"expected to be wrong ({_share(content.expected_wrong, content.records)})"),
        (f"{changed:,}", f"where another label is suggested ({_share(changed, content.records)})"),
    ]
    if content.trust:
        known = content.trust
        tiles.append((f"{known.wrong:,}", f"wrong of {known.records:,} with known truth ({_share(known.wrong, known.records)})"))
    shown = "".join(f'<div class="tile"><b>{number}</b><span>{text}</span></div>' for number, text in tiles)
    left_out = (
        f"<p class='soft'>{content.with_clean_label:,} more images have a noisy label and were trained with a clean one; "
        "they are left out of this page.</p>"
        if content.with_clean_label
        else ""
    )
    links = (("noise", "What the noise is"), ("labels", "Labels to look at first"), ("counts", "Before and after"),
             ("trust", "How far to trust it"))  # fmt: skip
    navigation = "".join(f'<a href="#{place}">{text}</a>' for place, text in links)
    return (
        f"<header><h1>Label report</h1><p>What a net trained with the label noise model says of the labels of "
        f"<code>{_text(content.info.images)}</code>.</p><div class='tiles'>{shown}</div>{left_out}"
        f"<nav aria-label='Sections'>{navigation}</nav></header><main>"
    )


def _noise(content: Content) -> str:
    names = content.info.class_names
    changes = [pair for pair in content.pairs if pair.noisy != pair.suggested][:_WORST]
    most = max((pair.expected_wrong for pair in changes), default=1)
    worst = [
        [_name(names, pair.noisy), _name(names, pair.suggested), f"{pair.records:,}", _bar(pair.expected_wrong, most)]
        for pair in changes
    ]
    types = [
        [_text(name), _bar(given, 1, percent=True), _bar(alone, 1, percent=True)]
        for name, given, alone in zip(TYPE_NAMES, content.types, content.types_of_images, strict=True)
    ]
    return "\n".join(
        [
            '<section id="noise"><h2>What the noise is</h2>',
            "<div class='columns'><div><h3>What is taken for what</h3>",
            _confusion(content),
            "</div><div><h3>Pairs with the most labels expected to be wrong</h3>",
            _table(["given", "suggested", "images", "expected wrong"], worst, 2),
            "<h3>Kinds of noise</h3><p>A label is right (noise free), drawn from the other classes whatever the image "
            "(pure random), or that of a class which looks alike (confusing).</p>",
            _table(["kind", "image and label known", "image alone"], types, 1),
            "</div></div>",
            "<details><summary>Kinds of noise for each given label</summary>",
            _types_by_label(content),
            "</details></section>",
        ]
    )


def _confusion(content: Content) -> str:
    names = content.info.class_names
    explanation = (
        "<p>Of the images of a class (column) whose label is a confusing one, the share that is called each other class "
        "(row), in percent; columns sum to 100. This matrix, C, was estimated on the images that have both labels and "
        "came with the weights.</p>"
    )
    rows = sorted(
        ((content.confusion[noisy, true], noisy, true) for noisy, true in zip(*content.confusion.nonzero(), strict=True)),
        key=lambda row: -row[0],
    )
    table = _table(
        ["true", "called", "share"],
        ([_name(names, true), _name(names, noisy), f"{value:.1%}"] for value, noisy, true in rows[:200]),
        2,
    )
    numbers = f"<details><summary>The largest entries as a table</summary>{table}</details>"
    if len(names) > _MOST_CLASSES_OF_HEAT_MAP:
        return f"{explanation}<p>{len(names)} classes are too many for a picture.</p>{numbers}"
    return f'{explanation}<div class="wide" tabindex="0">{heat_map(content.confusion, names)}</div>{numbers}'


def _types_by_label(content: Content) -> str:
    rows = []
    for label, name in enumerate(content.info.class_names):
        shares = content.types_by_label[label]
        parts = "".join(
            f'<i class="type{kind}" style="width:{share * 100:.2f}%"></i>' for kind, share in enumerate(shares)
        )
        numbers = [f"{share:.1%}" for share in shares] if content.before[label] else ["–"] * len(shares)
        rows.append([_text(name), f'<span class="stack" aria-hidden="true">{parts}</span>', *numbers])
    key = "".join(f'<span><i class="type{kind}"></i>{name}</span>' for kind, name in enumerate(TYPE_NAMES))
    return f'<p class="key">{key}</p>{_table(["given label", "", *TYPE_NAMES], rows, 2)}'


def _labels(content: Content) -> str:
    names = content.info.class_names
    changes = [pair for pair in content.pairs if pair.noisy != pair.suggested]
    has_truth = content.trust is not None
    heads = ["given", "suggested", "images", "expected wrong", "mean p(wrong)"] + ["measured wrong"] * has_truth
    buttons = "".join(
        f'<th scope="col"><button type="button" data-sort="{"text" if place < 2 else "number"}">{head}</button></th>'
        for place, head in enumerate(heads)
    )
    rows = "".join(_pair_row(pair, names, has_truth) for pair in changes)
    grids = "".join(_grid(pair, names, place < _OPEN_GRIDS) for place, pair in enumerate(changes) if pair.examples)
    with_images = sum(bool(pair.examples) for pair in changes)
    return "\n".join(
        [
            '<section id="labels"><h2>Labels to look at first</h2>',
            "<p>Images whose most probable label, given image and noisy label, is another. The pairs with the most "
            "expected errors come first, within a pair the surest error. <code>score_labels --lists</code> writes the "
            "whole lists; fill in their column <code>decision</code>, and <code>apply_decisions</code> takes it back.</p>",
            '<form id="filter" class="filter">',
            _select("given", "Given label", names),
            _select("suggested", "Suggested label", names),
            '<button type="reset">Show all</button><output id="shown" aria-live="polite"></output></form>',
            f'<div class="wide" tabindex="0"><table id="pairs" class="sortable"><thead><tr>{buttons}</tr></thead>'
            f"<tbody>{rows}</tbody></table></div>",
            f"<h3>Images of the first {with_images} pairs</h3>" if with_images else "<p>No label is to be changed.</p>",
            grids,
            "</section>",
        ]
    )


def _pair_row(pair: ReportedPair, names: Sequence[str], has_truth: bool) -> str:
    given, suggested = _name(names, pair.noisy), _name(names, pair.suggested)
    first = f'<a href="#{_anchor(pair)}">{given}</a>' if pair.examples else given
    mean = pair.expected_wrong / pair.records
    cells = [(given, first), (suggested, suggested), (pair.records, f"{pair.records:,}")]
    cells += [(pair.expected_wrong, f"{pair.expected_wrong:,.1f}"), (mean, f"{mean:.1%}")]
    if has_truth:
        measured = pair.known_wrong / pair.known if pair.known else -1
        cells.append((measured, f"{measured:.1%} of {pair.known:,}" if pair.known else "–"))
    shown = "".join(
        f'<td{" class=number" * (place > 1)} data-value="{value}">{text}</td>' for place, (value, text) in enumerate(cells)
    )
    return f'<tr data-given="{pair.noisy}" data-suggested="{pair.suggested}">{shown}</tr>'


def _grid(pair: ReportedPair, names: Sequence[str], is_open: bool) -> str:
    images = "".join(_figure(example, pair, names) for example in pair.examples)
    summary = f"{_name(names, pair.noisy)} → {_name(names, pair.suggested)}"
    return (
        f'<details class="grid-of" id="{_anchor(pair)}" data-given="{pair.noisy}" data-suggested="{pair.suggested}"'
        f"{' open' * is_open}><summary>{summary} <span class='soft'>{pair.records:,} images, "
        f"{pair.expected_wrong:,.0f} expected wrong</span></summary><div class='images'>{images}</div></details>"
    )


def _figure(example: Example, pair: ReportedPair, names: Sequence[str]) -> str:
    kind, certainty = example.type
    lines = [
        f"<b>{_percent(example.p_wrong)} wrong</b>",
        f"{_name(names, pair.suggested)} {_percent(example.q_suggested)}",
        f"{TYPE_NAMES[kind]} {_percent(certainty)}",
    ]
    if example.looks_like != pair.suggested:
        lines.append(f"image alone: {_name(names, example.looks_like)} {_percent(example.p_looks_like)}")
    if example.truth >= 0:
        verdict = ("label was right", "good") if example.truth == pair.noisy else ("truth", "bad")
        text = "label is right" if example.truth == pair.noisy else f"is {_name(names, example.truth)}"
        lines.append(f'<span class="{"kept" if verdict[1] == "good" else "changed"}">truth: {text}</span>')
    alternative = f"{example.key}: given {names[pair.noisy]}, suggested {names[pair.suggested]}"
    return (
        f'<figure title="{_text(example.key)}"><img src="{example.image}" alt="{_text(alternative)}">'
        f"<figcaption>{'<br>'.join(lines)}</figcaption></figure>"
    )


def _counts(content: Content) -> str:
    most = float(max(content.before.max(), content.after.max(), 1))
    rows = [
        [
            _text(name),
            f"{before:,}",
            f"{after:,}",
            f"{after - before:+,}",
            f'<span class="two" aria-hidden="true"><i class="before" style="width:{before / most * 100:.2f}%"></i>'
            f'<i class="after" style="width:{after / most * 100:.2f}%"></i></span>',
        ]
        for name, before, after in zip(
            content.info.class_names, content.before.tolist(), content.after.tolist(), strict=True
        )
    ]
    return (
        '<section id="counts"><h2>Labels before and after</h2><p>Images of each class by the given label, and by the '
        "suggested one if every suggestion were taken.</p><p class='key'><span><i class='before'></i>given</span>"
        "<span><i class='after'></i>suggested</span></p>"
        f"{_table(['class', 'given', 'suggested', 'change', ''], rows, 1, 4)}</section>"
    )


def _trust(content: Content) -> str:
    measured = (
        _measured(content.trust)
        if content.trust
        else "<p><strong>Nothing here is measured: no true label was given.</strong> Draw a few hundred images at random "
        "(not from the lists above, which hold what looks wrong), have them labelled carefully, and give them to "
        "<code>score_labels --truth</code>: this section then shows calibration and precision.</p>"
    )
    return "\n".join(
        [
            '<section id="trust"><h2>How far to trust it</h2><h3>Assumed</h3><ul>',
            "<li>A given label is right, or drawn evenly from the other classes, or drawn from the true class's column "
            "of C. Which of the three happens depends on the image only.</li>",
            "<li>C is the same for all images of a class, and right: it was counted on the images with both labels.</li>",
            "<li>Every image belongs to exactly one of the classes.</li>",
            "<li>The net was trained on the labels that it judges. Where it has learned a wrong label by heart, that "
            "label looks right to it.</li></ul>",
            "<h3>Measured</h3>",
            measured,
            "</section>",
        ]
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
    ranks = Axis("images looked at, surest error first", 1, len_(trust), _rank_ticks(len_(trust)), is_log=True)
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
            "<div class='columns'><figure class='plot'><figcaption><b>Precision of the list.</b> Share of labels that are "
            f"wrong among the first so many; dashed: of all, {base:.1%}.</figcaption>{ranking}</figure>",
            "<figure class='plot'><figcaption><b>Calibration.</b> How often labels of each p(wrong) are wrong; on the "
            f"dashed line it means what it says. Expected calibration error {trust.calibration_error:.3f}."
            f"</figcaption>{calibration}</figure></div>",
            "<details><summary>Calibration as a table</summary>",
            _table(["p(wrong)", "images", "mean p(wrong)", "measured wrong"], rows, 1),
            "</details>",
        ]
    )


def _source(content: Content) -> str:
    info = content.info
    rows = [["net", info.model], ["weights", info.weights], ["images", info.images]]
    rows += [list(item) for item in info.versions.items()]
    table = _table(["", ""], ([_text(name), f"<code>{_text(value)}</code>"] for name, value in rows), 9)
    return f"</main><footer><details><summary>Made from</summary>{table}</details></footer>"


# --- pieces -------------------------------------------------------------------------------------------------------


def len_(trust: Trust) -> int:
    return max(2, trust.records)


def _rank_ticks(records: int) -> list[tuple[float, str]]:
    powers = [10**power for power in range(len(str(records)))]
    return [(float(power), f"{power:,}") for power in powers if power <= records]


def _anchor(pair: ReportedPair) -> str:
    return f"pair-{pair.noisy}-{pair.suggested}"


def _name(names: Sequence[str], label: int) -> str:
    return _text(names[label])


def _text(value: object) -> str:
    return html.escape(str(value))


def _share(part: float, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "–"


def _percent(probability: float) -> str:
    """Never 100% for what is not certain."""
    return "> 99.9%" if 0.999 < probability < 1 else f"{probability:.1%}"


def _bar(value: float, most: float, percent: bool = False) -> str:
    text = f"{value:.1%}" if percent else f"{value:,.1f}"
    return f'<span class="bar"><i style="width:{np.clip(value / (most or 1), 0, 1) * 100:.2f}%"></i><b>{text}</b></span>'


def _select(name: str, title: str, names: Sequence[str]) -> str:
    options = "".join(f'<option value="{label}">{_text(text)}</option>' for label, text in enumerate(names))
    return f'<label>{title} <select name="{name}"><option value="">all</option>{options}</select></label>'


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], first_number: int, end: int = 99) -> str:
    """Cells are HTML; columns from ``first_number`` up to ``end`` hold numbers."""

    def cells(kind: str, texts: Sequence[str]) -> str:
        return "".join(
            f'<{kind}{" class=number" * (first_number <= place < end)}>{text}</{kind}>' for place, text in enumerate(texts)
        )

    head = f"<thead><tr>{cells('th', header)}</tr></thead>" if any(header) else ""
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="wide" tabindex="0"><table>{head}<tbody>{body}</tbody></table></div>'
