"""The audit as one self-contained page: equation beside code beside error, for a reader without the sources."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

from caffe_compat.label_noise.audit.building import REPOSITORY
from caffe_compat.label_noise.audit.report import cell, columns_of

_STYLE = """
:root { color-scheme: light; --ink: #1c1e21; --soft: #5b6169; --line: #d5d9de; --pass: #1b6b3a; --fail: #a3123a; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 78rem; padding: 1.5rem; color: var(--ink); background: #fff;
  font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0 0 .25rem; font-size: 1.7rem; } h2 { margin: 2.5rem 0 .5rem; font-size: 1.2rem; }
p { margin: .4rem 0; } .soft { color: var(--soft); }
.verdict { display: inline-block; padding: .1rem .6rem; border: 2px solid; border-radius: .3rem; font-weight: 700; }
.pass { color: var(--pass); } .fail { color: var(--fail); }
section { border-top: 1px solid var(--line); margin-top: 1.5rem; }
.pair > div:first-child { position: sticky; top: 1rem; }
.pair { display: grid; grid-template-columns: minmax(0, 2fr) minmax(0, 3fr); gap: 1rem; align-items: start; }
@media (max-width: 60rem) { .pair { grid-template-columns: minmax(0, 1fr); }
  .pair > div:first-child { position: static; } }
.formula { margin: 0; padding: .8rem; background: #f4f6f8; border-radius: .3rem; white-space: pre-wrap;
  font: 1.02rem/1.7 "STIX Two Math", "Cambria Math", Georgia, serif; }
pre.code { margin: 0 0 .6rem; padding: .7rem; background: #f4f6f8; border-radius: .3rem; overflow-x: auto;
  font: .8rem/1.5 ui-monospace, monospace; }
pre.code .tagged { background: #ffe9a8; font-weight: 700; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; margin: .6rem 0; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td code { font-size: .8rem; overflow-wrap: anywhere; }
"""


def page(content: dict[str, Any]) -> str:
    """The page of a report."""
    faults = content["faults"]
    verdict = "pass" if content["passed"] else "fail"
    outcomes = ", ".join(f"{number} {outcome}" for outcome, number in faults["outcomes"].items())
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Audit of the label noise kernels</title><style>{_STYLE}</style>",
        "<h1>Audit of the label noise kernels</h1>",
        "<p>Every equation of <em>Learning From Massive Noisy Labeled Data for Image Classification</em> (Xiao et al., "
        "CVPR 2015) beside the code that computes it and the largest error that was found.</p>",
        f'<p><span class="verdict {verdict}">{verdict.upper()}ED</span> {content["comparisons"]:,} comparisons, seed '
        f"{content['seed']}, {content['seconds']} s. "
        f"{'Faults put in: ' + outcomes if faults['were put in'] else 'No faults were put in'}.</p>",
        *(f"<p><strong>{_text(name)}: not run</strong>: {_text(why)}.</p>" for name, why in content["not run"].items()),
        *(f'<p class="fail">{_text(problem)}</p>' for problem in content["problems"]),
        _symbols(),
        *(_row(row, content) for row in content["ledger"]),
        _faults(faults),
        "<section><h2>Machine</h2>",
        _table(["", ""], ([_text(k), _text(v)] for k, v in content["environment"].items()), 9),
        "</section></html>",
    ]
    return "\n".join(parts)


def _text(value: object) -> str:
    return html.escape(str(value))


def _symbols() -> str:
    rows = [
        ("i, y, z", "noisy label, true label, noise type: 0 noise free, 1 pure random, 2 confusing"),
        ("a, b", "scores of the two networks; p = softmax(a), t = softmax(b)"),
        ("C[i, y]", "probability that a confusing image of class y gets label i; L classes, α = 1 / (L − 1)"),
        ("q, r", "what the posterior says of y, and of z"),
        ("m, c, k*", "counts of a class's wrong labels, its column of C, how many of them are kept"),
    ]
    return '<p class="soft">Symbols</p>' + _table(["", ""], ([_text(a), _text(b)] for a, b in rows), 9)


def _row(row: dict[str, Any], content: dict[str, Any]) -> str:
    mark = '<span class="pass">pass</span>' if row["passed"] else '<span class="fail">FAIL</span>'
    errors = [
        [_text(f"{name}, {dtype}"), cell(row, name, dtype, content["not run"])] for name, dtype in columns_of(content)
    ]
    checks = [
        [
            _text(check["witness"]),
            _text(check["implementation"]),
            check["dtype"],
            f"{check['error']:.2e}",
            f"{check['allowed']:.2e}",
            _text(check["worst case"]),
            "pass" if check["passed"] else '<span class="fail">FAIL</span>',
        ]
        for check in row["checks"]
    ]
    return "\n".join(
        [
            f'<section id="{row["tag"]}"><h2>{_text(row["name"])} <span class="soft">[{row["tag"]}]</span> {mark}</h2>',
            f'<div class="pair"><div><pre class="formula">{_text(row["statement"])}</pre>',
            f'<p class="soft">{_text(row["preconditions"])}</p>' if row["preconditions"] else "",
            _table(["", "largest error"], errors, 1),
            f'<p class="soft">Tolerance: {_text(row["tolerance"])}.</p>',
            f"</div><div>{''.join(_functions(row['where']))}</div></div>",
            f"<details><summary>{len(checks)} witnesses, the worst of each beside its tolerance</summary>",
            '<div class="wide">'
            + _table(["witness", "implementation", "precision", "error", "allowed", "in", ""], checks, 3, 5)
            + "</div>",
            "</details></section>",
        ]
    )


def _functions(where: Sequence[dict[str, Any]]) -> Iterable[str]:
    """Each function once, whole, the tagged lines marked."""
    tagged: dict[tuple[str, str, int, int], list[int]] = {}
    for place in where:
        if place["function"]:
            function = place["path"], place["function"], place["first"], place["last"]
            tagged.setdefault(function, []).append(place["line"])
    for (path, name, first, last), lines in tagged.items():
        source = (REPOSITORY / path).read_text().split("\n")
        code = "\n".join(
            f'<span class="tagged">{_text(source[n - 1])}</span>' if n in lines else _text(source[n - 1])
            for n in range(first, last + 1)
        )
        yield f'<p class="soft">{_text(path)}, {_text(name)}</p><pre class="code">{code}</pre>'


def _faults(faults: dict[str, Any]) -> str:
    if not faults["were put in"]:
        return ""
    caught = ", ".join(f"{row} {number}" for row, number in faults["caught by"].items())
    verdicts = faults["verdicts"]
    shown = [
        [
            f"{_text(v['file'])}:{v['line']}",
            _text(v["fault"]),
            f"<code>{_text(v['after'])}</code>",
            _text(v["outcome"]) + (f" by {_text(v['caught by'])}" if v["caught by"] else ""),
            _text(v["how"]) if v["by hand"] or v["outcome"] == "equivalent" else "",
        ]
        for v in sorted(verdicts, key=lambda v: (not v["by hand"], v["outcome"] != "equivalent"))
        if v["outcome"] != "not a program"
    ]
    header = ["where", "fault", "code", "outcome", "how, or why nothing changes"]
    return (
        "<section><h2>Faults put in, to see whether the audit notices</h2>"
        f"<p>Caught by row (- crashed, hung or raised): {_text(caught)}.</p>"
        f'<details><summary>All {len(shown)}</summary><div class="wide">{_table(header, shown, 9)}</div></details>'
        "</section>"
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], first_number: int, end: int = 99) -> str:
    """Cells are HTML; columns from ``first_number`` up to ``end`` hold numbers."""

    def cells(kind: str, texts: Sequence[str]) -> str:
        return "".join(
            f'<{kind} class="number">{text}</{kind}>' if first_number <= n < end else f"<{kind}>{text}</{kind}>"
            for n, text in enumerate(texts)
        )

    head = f"<tr>{cells('th', header)}</tr>" if any(header) else ""
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table>{head}{body}</table>"
