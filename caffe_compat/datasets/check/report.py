"""What was found: a few lines to read, and a JSON file for programs. docs/checking.md describes the file.

``VERSION`` goes up when a field changes its meaning or goes away; new fields and new kinds may come at any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from caffe_compat.datasets.check.findings import Finding, Findings, Place
from caffe_compat.datasets.check.kinds import KINDS
from caffe_compat.files import atomic_path

FORMAT, VERSION = "caffe_compat.check_dataset", 1
READY, NOT_READY = "READY", "NOT READY"


def verdict(findings: Findings) -> str:
    """READY or NOT READY: whether there is a problem."""
    return NOT_READY if findings.problems else READY


def text_lines(findings: Findings, examples: int) -> Iterator[str]:
    """Counts first, then what is wrong, each with ``examples`` places and what to do, the verdict last."""
    yield from _count_lines(findings.facts)
    for finding in findings.all():
        kind = KINDS[finding.kind]
        yield f"{kind.severity}: {len(finding.places)} {kind.what} [{finding.kind}]"
        yield from (f"    {place}" for place in finding.places[:examples])
        if len(finding.places) > examples:
            yield f"    ... and {len(finding.places) - examples} more"
        yield f"  -> {kind.remedy}"
    counts = f"{_counted(findings.problems, 'problem')}, {_counted(findings.warnings, 'warning')}"
    yield f"{verdict(findings)}: {counts if findings.places else 'nothing wrong was found'}"


def write_report(path: Path, findings: Findings, header: Mapping[str, Any], examples: int) -> list[Path]:
    """Write the JSON, and beside it ``<name>.places.jsonl`` with every place if there are more than the JSON shows;
    if not, an earlier one is removed.

    Args:
        header: fields that go first: what was checked, and how.
    Returns: the files written.
    """
    found = findings.all()
    every = path.with_suffix(".places.jsonl")
    has_more = any(len(finding.places) > examples for finding in found)
    content = {
        "format": FORMAT,
        "version": VERSION,
        **header,
        "verdict": verdict(findings),
        "problems": findings.problems,
        "warnings": findings.warnings,
        "facts": findings.facts,
        "findings": [_as_json(finding, examples) for finding in found],
        "all_places": every.name if has_more else None,
    }
    if has_more:
        with atomic_path(every) as part, open(part, "w", encoding="utf-8") as file:
            for finding in found:
                for place in finding.places:
                    file.write(json.dumps({"kind": finding.kind, **_fields(place)}) + "\n")
    with atomic_path(path) as part:
        part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if not has_more:
        every.unlink(missing_ok=True)  # of an earlier check
    return [path, every] if has_more else [path]


def _as_json(finding: Finding, examples: int) -> dict[str, Any]:
    kind = KINDS[finding.kind]
    return {
        "kind": finding.kind,
        "severity": kind.severity,
        "what": kind.what,
        "remedy": kind.remedy,
        "count": len(finding.places),
        "examples": [_fields(place) for place in finding.places[:examples]],
    }


def _fields(place: Place) -> dict[str, Any]:
    return {name: value for name, value in place._asdict().items() if value not in (None, "")}


def _count_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    counts: Mapping[str, Mapping[str, int]] = facts.get("class_counts", {})
    if counts:
        yield f"class counts ({', '.join(next(iter(counts.values())))}):"
        width = max(map(len, counts))
        for split, of_class in counts.items():
            yield f"  {split:<{width}} {sum(of_class.values()):>8}: {' '.join(map(str, of_class.values()))}"
    if not_drawn := facts.get("clean_images_not_drawn"):
        yield f"clean images that no record of the mixed set reads: {not_drawn} (a higher --clean_ratio draws more)"
    for split, found in facts.get("label_accuracy", {}).items():
        yield f"label accuracy of {split}: {100 * found['accuracy']:.2f}% of {found['pairs']} samples with both labels"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
