"""Checking a data set of any kind."""

from __future__ import annotations

from collections.abc import Callable

from caffe_compat.datasets.check.cifar10n import check_cifar10n
from caffe_compat.datasets.check.clothing1m import check_clothing1m
from caffe_compat.datasets.check.findings import Findings
from caffe_compat.datasets.check.image_list import check_image_lists
from caffe_compat.datasets.check.made import check_made_folder
from caffe_compat.datasets.check.subjects import CIFAR10N, CLOTHING1M, LIST, MADE, Subject

_CHECKS: dict[str, Callable[[Subject, Findings], None]] = {
    CLOTHING1M: check_clothing1m,
    MADE: check_made_folder,
    LIST: check_image_lists,
    CIFAR10N: check_cifar10n,
}


def check(kind: str, subject: Subject) -> Findings:
    """Everything that is wrong with ``subject``, taken as a data set of ``kind`` (see ``subjects``).

    Raises: DataError or OSError where so much is missing that it is no data set of that kind.
    """
    findings = Findings()
    _CHECKS[kind](subject, findings)
    return findings
