"""What makes a result that of a job: its settings, its data, and the weights from elsewhere that it started from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from caffe_compat.data.group import side_file
from caffe_compat.datasets import layout
from caffe_compat.errors import CaffeCompatError
from caffe_compat.evaluation.experiments.jobs import Job, recipe_messages
from caffe_compat.files import atomic_path
from caffe_compat.prototxt import to_text

# Small files of a data folder that differ whenever its samples, labels or reading order do.
TELLING = (
    layout.CONFUSION_NPY, layout.PAIRS, layout.MIXED_INDEX,
    str(side_file(layout.MIXED_IMAGES, layout.MIXED_INDEX)), str(side_file(layout.MIXED_IMAGES)),
)  # fmt: skip


@dataclass(frozen=True)
class Identity:
    """Of a run, as it is kept in its folder from the start on, and in its result.

    Attributes:
        settings: :func:`settings_digest`.
        data: :func:`data_digest`; None where it was not known.
        pretrained: SHA-256 of the weights of ``--pretrained``; None where none were given.
    """

    settings: str
    data: str | None = None
    pretrained: str | None = None


def identity(job: Job) -> Identity:
    return Identity(settings_digest(job), data_digest(job.data), _pretrained(job))


def difference(known: Identity, job: Job) -> str | None:
    """What ``known``, of a run of before, was made with that is not the job's; None: nothing.

    Data and pre-trained weights are compared where both are known.
    """
    if known.settings != settings_digest(job, known.pretrained):
        return "other nets, solvers or starts than the recipe has now"
    data = data_digest(job.data)
    if known.data is not None and data is not None and known.data != data:
        return f"other data than {job.data} has now"
    return None


def write_identity(job: Job, known: Identity) -> None:
    with atomic_path(job.identity_file) as part:
        part.write_text(json.dumps(asdict(known), indent=1) + "\n")


def read_identity(job: Job) -> Identity | None:
    """What the job's run was begun with; None where that was not kept.

    Raises: CaffeCompatError for another kind of file.
    """
    try:
        known = Identity(**json.loads(job.identity_file.read_text()))
        bytes.fromhex(known.pretrained or "")
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, RecursionError) as exc:
        raise CaffeCompatError(f"not what a run was begun with: {exc}", path=str(job.identity_file)) from exc
    return known


def settings_digest(job: Job, pretrained: str | None = None) -> str:
    """SHA-256 of everything that decides the result of ``job`` but the data; folders may move.

    Args:
        pretrained: SHA-256 of the weights from elsewhere, where the job has none.
    """
    pretrained = _pretrained(job) or pretrained
    digest = hashlib.sha256(str(job.seed).encode())
    for message in recipe_messages(job.stage):
        digest.update(to_text(message).encode())

    def of(stage: str) -> bytes:
        return settings_digest(job.earlier(stage), pretrained).encode()

    for start in job.stage.starts:
        digest.update(of(start.stage))
        digest.update(json.dumps(dict(start.renames), sort_keys=True).encode())
    if job.stage.continues is not None:
        digest.update(b"continues" + of(job.stage.continues))
    if job.stage.transition is not None:
        digest.update(job.stage.transition.kind.value.encode() + of(job.stage.transition.stage))
    if job.stage.pretrained and pretrained is not None:
        digest.update(bytes.fromhex(pretrained))
    return digest.hexdigest()


def data_digest(folder: Path) -> str | None:
    """SHA-256 over the names and contents of the small files that tell data folders apart; None where none is there."""
    there = [name for name in TELLING if (folder / name).is_file()]
    if not there:
        return None
    digest = hashlib.sha256()
    for name in there:
        digest.update(f"{name} {_file_digest(folder / name)}\n".encode())
    return digest.hexdigest()


def _pretrained(job: Job) -> str | None:
    return None if job.pretrained is None else _file_digest(job.pretrained)


def _file_digest(path: Path) -> str:
    return _digest_of_content(path, path.stat().st_mtime_ns)


@lru_cache
def _digest_of_content(path: Path, changed: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
