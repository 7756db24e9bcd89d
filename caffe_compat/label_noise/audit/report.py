"""The audit's report: one dictionary, written as JSON, as Markdown, and (``page``) as a page to read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from caffe_compat.label_noise.audit.confusion_checks import PYTHON
from caffe_compat.label_noise.audit.findings import Finding
from caffe_compat.label_noise.audit.kernels import DTYPES, FLOAT64
from caffe_compat.label_noise.audit.ledger import LEDGER, Row
from caffe_compat.label_noise.audit.model_checks import TOLERANCES
from caffe_compat.label_noise.audit.mutants import Verdict
from caffe_compat.label_noise.audit.run import Audit

_EXACT = {"E8", "E9", "E10", "E11", "E12", "E13", "E14", "L1", "T1", "T2"}
_EXACT_TOLERANCE = "whole numbers exactly; E to 1e-12 a sample, C to 1e-15: float64 against exact fractions"
_NUMBER_TOLERANCE = "what the header claims, in units in the last place"


def report(audit: Audit) -> dict[str, Any]:
    """Everything the audit found, in JSON's types."""
    problems = audit.problems()
    return {
        "passed": not problems,
        "problems": problems,
        "seed": audit.seed,
        "random cases": audit.cases,
        "seconds": round(audit.seconds, 1),
        "comparisons": audit.findings.count,
        "columns": audit.columns,
        "not run": audit.not_run,
        "environment": audit.environment,
        "ledger": [_ledger_row(row, audit) for row in LEDGER],
        "faults": {
            "were put in": audit.has_mutations,
            "outcomes": dict(audit.outcomes),
            "caught by": _catchers(audit.faults),
            "verdicts": [_verdict(verdict) for verdict in audit.faults],
        },
    }


def _ledger_row(row: Row, audit: Audit) -> dict[str, Any]:
    findings = audit.findings.of(row.tag)
    return {
        "tag": row.tag,
        "name": row.name,
        "statement": row.statement,
        "preconditions": row.preconditions,
        "where": [asdict(place) for place in audit.places if place.tag == row.tag],
        "tolerance": TOLERANCES.get(row.tag, _EXACT_TOLERANCE if row.tag in _EXACT else _NUMBER_TOLERANCE),
        "largest errors": {
            f"{kernels}, {dtype}": error
            for (tag, kernels, dtype), error in audit.findings.largest.items()
            if tag == row.tag
        },
        "passed": bool(findings) and all(finding.passed for finding in findings),
        "checks": [_check(finding) for finding in sorted(findings, key=lambda f: (f.witness, f.kernels, f.dtype))],
    }


def _check(finding: Finding) -> dict[str, Any]:
    return {
        "witness": finding.witness,
        "implementation": finding.kernels,
        "dtype": finding.dtype,
        "error": finding.error,
        "allowed": finding.tolerance,
        "worst case": finding.case,
        "passed": finding.passed,
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    mutation = verdict.mutation
    return {
        "file": mutation.file,
        "line": mutation.line,
        "fault": mutation.fault,
        "by hand": mutation.by_hand,
        "before": mutation.before,
        "after": mutation.after,
        "outcome": verdict.outcome,
        "caught by": verdict.by,
        "how": verdict.how,
    }


def _catchers(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """How many faults each row caught; "-" are those that crashed, hung or raised."""
    caught: dict[str, int] = {}
    for verdict in verdicts:
        if verdict.outcome == "caught":
            caught[verdict.by] = caught.get(verdict.by, 0) + 1
    return dict(sorted(caught.items(), key=lambda item: -item[1]))


# --- text -------------------------------------------------------------------------------------------------------


def as_json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=True) + "\n"


def summary(content: dict[str, Any]) -> str:
    """A few lines for the terminal."""
    faults = content["faults"]
    lines = [
        f"{'PASSED' if content['passed'] else 'FAILED'}: {content['comparisons']:,} comparisons, seed {content['seed']}"
    ]
    if faults["were put in"]:
        lines.append("faults put in: " + ", ".join(f"{n} {outcome}" for outcome, n in faults["outcomes"].items()))
    lines += [f"not run: {name}: {why}" for name, why in content["not run"].items()]
    return "\n".join([*lines, *content["problems"][:20]])


def columns_of(content: dict[str, Any]) -> list[tuple[str, str]]:
    """(implementation, precision) of the ledger's error columns; those that were not run, too."""
    names = [*content["columns"], *content["not run"]]
    return [(name, dtype) for name in names for dtype in DTYPES]


def cell(row: dict[str, Any], name: str, dtype: str, not_run: dict[str, str]) -> str:
    """The largest error of a row in a column."""
    if name in not_run:
        return "not run"
    errors = row["largest errors"]
    in_python = errors.get(f"{PYTHON}, {dtype}") if (name, dtype) == ("cpu", FLOAT64) else None
    error = errors.get(f"{name}, {dtype}", in_python)
    return "–" if error is None else f"{error:.1e}"


def markdown(content: dict[str, Any]) -> str:
    """The whole report."""
    environment = content["environment"]
    lines = [
        "# Audit of the label noise kernels",
        "",
        f"**{'Passed' if content['passed'] else 'FAILED'}**: {content['comparisons']:,} comparisons, "
        f"seed {content['seed']}, {content['seconds']} s.",
        *(f"\n**{name}: not run**: {why}." for name, why in content["not run"].items()),
        *([""] + [f"- {problem}" for problem in content["problems"]] if content["problems"] else []),
        "",
        "Columns: `cpu` is what users run; `header alone` the formulas of `csrc/*_math.h` one class at a time, without "
        "PyTorch; `device code on the host` every line of `label_noise_cuda.cu` over an emulated warp. The largest "
        "error of each row stands there, in the row's own units; Eq. 8 to 14 are Python (under cpu, float64).",
        "",
        _ledger_table(content),
        "",
        *(_row_section(row) for row in content["ledger"]),
        _faults_section(content["faults"]),
        "## Machine",
        "",
        *(f"- {name}: {value}" for name, value in environment.items()),
    ]
    return "\n".join(lines) + "\n"


def _ledger_table(content: dict[str, Any]) -> str:
    columns = columns_of(content)
    header = ["", "claim", "where", *(f"{name}, {dtype}" for name, dtype in columns), "tolerance", ""]
    rows = [
        [
            f"[{row['tag']}]",
            row["name"],
            ", ".join(f"`{place}`" for place in _functions(row["where"])),
            *(cell(row, name, dtype, content["not run"]) for name, dtype in columns),
            row["tolerance"],
            "pass" if row["passed"] else "**FAIL**",
        ]
        for row in content["ledger"]
    ]
    return _table(header, rows)


def _functions(where: Sequence[dict[str, Any]]) -> list[str]:
    """file: function, each once, introductions left out where there is anything else."""
    names = [f"{place['path'].rpartition('/')[2]}: {place['function']}" for place in where if place["function"]]
    return list(dict.fromkeys(names))


def _row_section(row: dict[str, Any]) -> str:
    statement = "\n".join(f"    {line}" for line in row["statement"].split("\n"))
    checks = [
        [c["witness"], c["implementation"], c["dtype"], f"{c['error']:.2e}", f"{c['allowed']:.2e}", c["worst case"],
         "pass" if c["passed"] else "**FAIL**"]
        for c in row["checks"]
    ]  # fmt: skip
    places = ", ".join(f"{place['path']}:{place['line']}" for place in row["where"])
    header = ["witness", "implementation", "precision", "error", "allowed", "in", ""]
    lines = [f"## [{row['tag']}] {row['name']}", "", statement, ""]
    lines += [row["preconditions"], ""] if row["preconditions"] else []
    return "\n".join([*lines, f"In the code: {places}. Tolerance: {row['tolerance']}.", "", _table(header, checks), ""])


def _faults_section(faults: dict[str, Any]) -> str:
    if not faults["were put in"]:
        return "## Faults put in\n\nNone: this run did not audit the audit.\n"
    outcomes = ", ".join(f"{number} {outcome}" for outcome, number in faults["outcomes"].items())
    caught = ", ".join(f"{row} {number}" for row, number in faults["caught by"].items())
    verdicts = faults["verdicts"]
    by_hand = [[v["fault"], f"`{v['after']}`", v["caught by"], v["how"]] for v in verdicts if v["by hand"]]
    automatic = [
        [f"{v['file']}:{v['line']}", v["fault"], f"`{v['after']}`", v["caught by"]]
        for v in verdicts
        if not v["by hand"] and v["outcome"] == "caught"
    ]
    equivalent = [
        [f"{v['file']}:{v['line']}", v["fault"], f"`{v['after']}`", v["how"]]
        for v in verdicts
        if v["outcome"] == "equivalent"
    ]
    return "\n".join(
        [
            "## Faults put in",
            "",
            f"{len(verdicts)} faulty copies of the math headers and of `confusion.py`: {outcomes}. A copy that is not "
            f"a program is one that the compiler refuses. Caught by row (- crashed, hung or raised): {caught}.",
            "",
            "### By hand",
            "",
            _table(["fault", "code", "caught by", "how"], by_hand),
            "",
            "### Nothing changes, and why",
            "",
            _table(["where", "fault", "code", "proof"], equivalent),
            "",
            "### One after another, for every operator and constant",
            "",
            _table(["where", "fault", "code", "caught by"], automatic),
            "",
        ]
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in cells) + " |"

    return "\n".join([line(header), line(["---"] * len(header)), *(line(row) for row in rows)])
