"""What a check finds: a kind of ``kinds.KINDS``, and every place where it was found."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from caffe_compat.datasets.check.kinds import KINDS, PROBLEM


class Place(NamedTuple):
    """One place where something is wrong.

    Attributes:
        file: the list, database or file, relative to the data set's folder where it lies in it.
        line: the line in a text file, from 1, or None.
        record: the place in a database or index, from 0, or None.
        key: the image, or "".
        detail: what is wrong with just this one, or "".
    """

    file: str
    line: int | None = None
    record: int | None = None
    key: str = ""
    detail: str = ""

    def __str__(self) -> str:
        where = self.file
        if self.line is not None:
            where += f":{self.line}"
        if self.record is not None:
            where += f" record {self.record}"
        return ": ".join(part for part in (where, self.key, self.detail) if part)


class Finding(NamedTuple):
    """A kind of fault and all its places, at least one."""

    kind: str
    places: Sequence[Place]

    @property
    def is_problem(self) -> bool:
        return KINDS[self.kind].severity == PROBLEM


@dataclass
class Findings:
    """Everything one check found, and what it counted on the way.

    Attributes:
        facts: for the report: class counts of each split, label accuracy, numbers of images. JSON values.
    """

    places: dict[str, list[Place]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def add(self, kind: str, *places: Place) -> None:
        """Places of one kind. Raises: KeyError for a kind that ``kinds.KINDS`` does not have."""
        if kind not in KINDS:
            raise KeyError(kind)
        if places:
            self.places.setdefault(kind, []).extend(places)

    def remove(self, kind: str, files: Collection[str]) -> None:
        """Take back the places of one kind in these files."""
        left = [place for place in self.places.pop(kind, []) if place.file not in files]
        self.add(kind, *left)

    def all(self) -> list[Finding]:
        """Problems first, in the order of ``KINDS``."""
        found = [Finding(kind, self.places[kind]) for kind in KINDS if kind in self.places]
        return sorted(found, key=lambda finding: not finding.is_problem)

    @property
    def problems(self) -> int:
        return sum(finding.is_problem for finding in self.all())

    @property
    def warnings(self) -> int:
        return len(self.places) - self.problems
