"""Where the project's own nets and solvers lie: in the checkout, or in an installed wheel's copy of them."""

from __future__ import annotations

from pathlib import Path


def root_of(package: Path) -> Path:
    """The folder from which paths ``prototxt/...`` count, for the package ``caffe_compat`` in the folder ``package``.

    In a wheel that is ``package/shipped``, where setup.py puts prototxt/; in a checkout, also one that is installed
    editable, there is no such folder, and it is the repository's root.
    """
    shipped = package / "shipped"
    return shipped if shipped.is_dir() else package.parent


REPOSITORY = root_of(Path(__file__).resolve().parent)
