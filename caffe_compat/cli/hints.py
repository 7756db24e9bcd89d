"""Which command makes the files that the project's own nets and solvers name."""

from __future__ import annotations

import os
from pathlib import PurePath

from caffe_compat.errors import CaffeCompatError

_MAKERS = {
    "data/clothing1m": (
        "tools/import_clothing1m.py ROOT data/clothing1m makes it from the real data set, "
        "tools/make_demo_data.py --like clothing1m data/clothing1m makes a small set of that shape"
    ),
    "data/cifar10n": "tools/import_cifar10n.py ROOT data/cifar10n makes it from the real data set",
    "data/demo": "tools/make_demo_data.py data/demo makes it",
}
_STARTS_OF_OURS = ("init_joint.caffemodel", "init_joint_release.caffemodel")


def hint(error: BaseException) -> str | None:
    """A sentence on how to make the file that ``error`` (or what caused it) misses, if it is one of the project's."""
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:  # an exception can be its own cause
        seen.add(id(cause))
        path = _path_of(cause)
        if path and not os.path.exists(path):
            if PurePath(path).name in _STARTS_OF_OURS:
                return (
                    "tools/convert_caffemodel.py makes it of the clean and the noise type net, see prototxt/README.md"
                )
            for folder, sentence in _MAKERS.items():
                if f"/{folder}/" in f"/{PurePath(path).as_posix()}/":
                    return f"{folder}: {sentence}"
        cause = cause.__cause__
    return None


def _path_of(error: BaseException) -> str | None:
    if isinstance(error, CaffeCompatError):
        return error.path
    return error.filename if isinstance(error, OSError) and isinstance(error.filename, str) else None
