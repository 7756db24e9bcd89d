"""The section of the labels to look at: a table of pairs to sort and filter, and the images of the first ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from caffe_compat.evaluation.report.content import Content, Example, ReportedPair
from caffe_compat.evaluation.report.markup import class_name, escaped, percent
from caffe_compat.label_noise.confusion import NOISE_TYPE_NAMES

_OPEN_GRIDS = 3
_DECISIONS = (
    '<div id="decisions" hidden><output aria-live="polite"></output>'
    '<button type="button" name="download">Download decisions.csv</button>'
    '<button type="button" name="forget">Forget them</button></div>'
)


def labels_section(content: Content) -> str:
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
            f'<section id="labels" data-report="{_identity(content)}"><h2>Labels to look at first</h2>',
            "<p>Images that, with their given label taken into account, most probably belong to another class. The "
            "pairs with the most expected errors come first, within a pair the surest error. Say below an image what "
            "it is, and download the decisions; <code>score_labels --lists</code> writes lists of all images, with "
            "an empty column <code>decision</code>. <code>apply_decisions</code> makes clean labels of either.</p>",
            '<form id="filter" class="filter">',
            _select("given", "Given label", names),
            _select("suggested", "Suggested label", names),
            '<button type="reset">Show all</button><output id="shown" aria-live="polite"></output></form>',
            f'<div class="wide" tabindex="0"><table id="pairs" class="sortable"><thead><tr>{buttons}</tr></thead>'
            f"<tbody>{rows}</tbody></table></div>",
            f"<h3>Images of the first {with_images} pairs</h3>" if with_images else "<p>No label is to be changed.</p>",
            grids,
            _DECISIONS,
            f'<script type="application/json" id="class-names">{_as_json(names)}</script>',
            "</section>",
        ]
    )


def _pair_row(pair: ReportedPair, names: Sequence[str], has_truth: bool) -> str:
    given, suggested = class_name(names, pair.noisy), class_name(names, pair.suggested)
    first = f'<a href="#{_anchor(pair)}">{given}</a>' if pair.examples else given
    mean = pair.expected_wrong / pair.records
    cells = [(given, first), (suggested, suggested), (pair.records, f"{pair.records:,}")]
    cells += [(pair.expected_wrong, f"{pair.expected_wrong:,.1f}"), (mean, f"{mean:.1%}")]
    if has_truth:
        measured = pair.known_wrong / pair.known if pair.known else -1
        cells.append((measured, f"{measured:.1%} of {pair.known:,}" if pair.known else "–"))
    row = "".join(
        f'<td{" class=number" * (place > 1)} data-value="{value}">{text}</td>'
        for place, (value, text) in enumerate(cells)
    )
    return f'<tr data-given="{pair.noisy}" data-suggested="{pair.suggested}">{row}</tr>'


def _grid(pair: ReportedPair, names: Sequence[str], is_open: bool) -> str:
    images = "".join(_figure(example, pair, names) for example in pair.examples)
    summary = f"{class_name(names, pair.noisy)} → {class_name(names, pair.suggested)}"
    return (
        f'<details class="grid-of" id="{_anchor(pair)}" data-given="{pair.noisy}" data-suggested="{pair.suggested}"'
        f"{' open' * is_open}><summary>{summary} <span class='soft'>{pair.records:,} images, "
        f"{pair.expected_wrong:,.0f} expected wrong</span></summary><div class='images'>{images}</div></details>"
    )


def _figure(example: Example, pair: ReportedPair, names: Sequence[str]) -> str:
    kind, certainty = example.type
    lines = [
        f"<b>p(wrong) {percent(example.p_wrong)}</b>",
        f"{class_name(names, pair.suggested)} {percent(example.q_suggested)}",
        f"{NOISE_TYPE_NAMES[kind]} {percent(certainty)}",
    ]
    if example.looks_like != pair.suggested:
        lines.append(f"image alone: {class_name(names, example.looks_like)} {percent(example.p_looks_like)}")
    if example.truth >= 0:
        verdict = {pair.suggested: ("as suggested", "good"), pair.noisy: ("as given", "bad")}
        text, style = verdict.get(example.truth, ("neither", "soft"))
        lines.append(f'<span class="{style}">truth: {class_name(names, example.truth)}, {text}</span>')
    alternative = f"{example.key}: given {names[pair.noisy]}, suggested {names[pair.suggested]}"
    return (
        f'<figure title="{escaped(example.key)}" data-key="{escaped(example.key)}" data-given="{pair.noisy}" '
        f'data-suggested="{pair.suggested}"><img src="{example.image}" alt="{escaped(alternative)}">'
        f"<figcaption>{'<br>'.join(lines)}</figcaption>{_choices(pair, names)}</figure>"
    )


def _choices(pair: ReportedPair, names: Sequence[str]) -> str:
    """What the image may be; hidden until the script that heeds it runs."""
    buttons = "".join(
        f'<button type="button" data-label="{label}" aria-pressed="false">{class_name(names, label)}</button>'
        for label in (pair.suggested, pair.noisy)
    )
    other = '<select aria-label="another class"><option value="">other…</option></select>'
    return f'<div class="decide" hidden>{buttons}{other}</div>'


def _identity(content: Content) -> str:
    """Of the images shown and their labels: decisions that a browser keeps belong to these."""
    digest = hashlib.blake2b(digest_size=8)
    for pair in content.pairs:
        for example in pair.examples:
            digest.update(f"{example.key}\n{pair.noisy} {pair.suggested}\n".encode())
    return digest.hexdigest()


def _as_json(names: Sequence[str]) -> str:
    """For a script element, which "</" would end."""
    return json.dumps(list(names)).replace("<", "\\u003c")


def _select(name: str, title: str, names: Sequence[str]) -> str:
    options = "".join(f'<option value="{label}">{escaped(text)}</option>' for label, text in enumerate(names))
    field = f'<select id="filter-{name}" name="{name}"><option value="">all</option>{options}</select>'
    return f'<span><label for="filter-{name}">{title}</label> {field}</span>'


def _anchor(pair: ReportedPair) -> str:
    return f"pair-{pair.noisy}-{pair.suggested}"
