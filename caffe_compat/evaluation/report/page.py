"""The label report as one self-contained page."""

from __future__ import annotations

from importlib import resources

from caffe_compat.evaluation.report.charts import heat_map
from caffe_compat.evaluation.report.content import Content
from caffe_compat.evaluation.report.labels_section import labels_section
from caffe_compat.evaluation.report.markup import bar, class_name, escaped, share_of, table
from caffe_compat.evaluation.report.trust_section import trust_section
from caffe_compat.label_noise.confusion import NOISE_TYPE_NAMES

_MOST_CLASSES_OF_HEAT_MAP = 60
_WORST = 10


def page(content: Content) -> str:
    """The page: HTML, with style, script, charts and images inside."""
    files = resources.files(__package__)
    style, pairs, decisions = (
        files.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "pairs.js", "decisions.js")
    )
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<link rel="icon" href="data:,"><title>Label report</title><style>{style}</style>',
        '<a class="skip" href="#labels">To the labels</a>',
        _head(content),
        _noise(content),
        labels_section(content),
        _counts(content),
        trust_section(content),
        _source(content),
        f"<script>{pairs}</script><script>{decisions}</script></html>",
    ]
    return "\n".join(parts)


# --- sections -----------------------------------------------------------------------------------------------------


def _head(content: Content) -> str:
    changed = sum(pair.records for pair in content.pairs if pair.noisy != pair.suggested)
    expected = share_of(content.expected_wrong, content.records)
    tiles = [
        (f"{content.records:,}", "labels judged"),
        (
            f"{content.expected_wrong:,.0f}",
            f"expected to be wrong ({expected})",
        ),
        (f"{changed:,}", f"where another label is suggested ({share_of(changed, content.records)})"),
    ]
    if content.trust:
        known = content.trust
        tiles.append(
            (
                f"{known.wrong:,}",
                f"wrong of {known.records:,} with known truth ({share_of(known.wrong, known.records)})",
            )
        )
    shown = "".join(f'<div class="tile"><b>{number}</b><span>{text}</span></div>' for number, text in tiles)
    left_out = (
        f"<p class='soft'>{content.with_clean_label:,} more images have a noisy label and were trained with a clean "
        "one; they are left out of this page. "
        f"{share_of(content.clean_differs, content.with_clean_label)} of their noisy labels are wrong: about as many "
        "as of all, if these images were drawn at random.</p>"
        if content.with_clean_label
        else ""
    )
    links = (("noise", "What the noise is"), ("labels", "Labels to look at first"), ("counts", "Before and after"),
             ("trust", "How far to trust it"))  # fmt: skip
    navigation = "".join(f'<a href="#{place}">{text}</a>' for place, text in links)
    return (
        f"<header><h1>Label report</h1><p>What a net trained with the label noise model says of the labels of "
        f"<code>{escaped(content.info.images)}</code>.</p><div class='tiles'>{shown}</div>{left_out}"
        f"<nav aria-label='Sections'>{navigation}</nav></header><main>"
    )


def _noise(content: Content) -> str:
    names = content.info.class_names
    changes = [pair for pair in content.pairs if pair.noisy != pair.suggested][:_WORST]
    most = max((pair.expected_wrong for pair in changes), default=1)
    worst = [
        [
            class_name(names, pair.noisy),
            class_name(names, pair.suggested),
            f"{pair.records:,}",
            bar(pair.expected_wrong, most),
        ]
        for pair in changes
    ]
    types = [
        [escaped(name), bar(given, 1, as_share=True), bar(alone, 1, as_share=True)]
        for name, given, alone in zip(NOISE_TYPE_NAMES, content.types, content.types_of_images, strict=True)
        if content.records
    ]
    return "\n".join(
        [
            '<section id="noise"><h2>What the noise is</h2>',
            "<div class='columns'><div><h3>What is taken for what</h3>",
            _confusion(content),
            "</div><div><h3>Pairs with the most labels expected to be wrong</h3>",
            table(["given", "suggested", "images", "expected wrong"], worst, 2),
            "<h3>Kinds of noise</h3><p>A label is right (noise free), drawn from the other classes whatever the image "
            "(pure random), or that of a class which looks alike (confusing).</p>",
            table(["kind", "image and label known", "image alone"], types, 1),
            "</div></div>",
            "<details><summary>Kinds of noise for each given label</summary>",
            _types_by_label(content),
            "</details></section>",
        ]
    )


def _confusion(content: Content) -> str:
    names = content.info.class_names
    explanation = (
        "<p>Of the images of a class (column) whose label is a confusing one, the share that is called each other "
        "class (row), in percent; columns sum to 100. This matrix, C, was estimated on the images that have both "
        "labels and came with the weights.</p>"
    )
    rows = sorted(
        (
            (content.confusion[noisy, true], noisy, true)
            for noisy, true in zip(*content.confusion.nonzero(), strict=True)
        ),
        key=lambda row: -row[0],
    )
    largest = table(
        ["true", "called", "share"],
        ([class_name(names, true), class_name(names, noisy), f"{value:.1%}"] for value, noisy, true in rows[:200]),
        2,
    )
    numbers = f"<details><summary>The largest entries as a table</summary>{largest}</details>"
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
        rows.append([escaped(name), f'<span class="stack" aria-hidden="true">{parts}</span>', *numbers])
    key = "".join(f'<span><i class="type{kind}"></i>{name}</span>' for kind, name in enumerate(NOISE_TYPE_NAMES))
    return f'<p class="key">{key}</p>{table(["given label", "", *NOISE_TYPE_NAMES], rows, 2)}'


def _counts(content: Content) -> str:
    most = float(max(content.before.max(), content.after.max(), 1))
    rows = [
        [
            escaped(name),
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
        f"{table(['class', 'given', 'suggested', 'change', ''], rows, 1, 4)}</section>"
    )


def _source(content: Content) -> str:
    info = content.info
    rows = [["net", info.model], ["weights", info.weights], ["images", info.images]]
    rows += [list(item) for item in info.versions.items()]
    made_from = table(["", ""], ([escaped(name), f"<code>{escaped(value)}</code>"] for name, value in rows), 9)
    return f"</main><footer><details><summary>Made from</summary>{made_from}</details></footer>"
