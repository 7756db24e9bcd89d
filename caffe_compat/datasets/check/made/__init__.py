"""Checking a made data folder: read once, then one check after the other. A new check is a function in CHECKS."""

from __future__ import annotations

from collections.abc import Callable

from caffe_compat.datasets.check.findings import Findings
from caffe_compat.datasets.check.made.confusion import check_estimate, check_form, check_noise_types
from caffe_compat.datasets.check.made.counting import count
from caffe_compat.datasets.check.made.databases import check_keys, check_mean, check_records, check_sizes
from caffe_compat.datasets.check.made.folder import MadeFolder, read_made_folder
from caffe_compat.datasets.check.made.labels import check_mixed_labels, check_ranges, check_same_image
from caffe_compat.datasets.check.made.presence import check_presence
from caffe_compat.datasets.check.made.splits import check_held_out, check_same_pixels
from caffe_compat.datasets.check.made.steps import check_groups, check_index, check_lengths, check_parts
from caffe_compat.datasets.check.subjects import Subject

CHECKS: tuple[Callable[[MadeFolder, Findings], None], ...] = (
    check_presence, check_records, check_keys, check_sizes, check_mean,
    check_parts, check_lengths, check_index, check_groups,
    check_ranges, check_mixed_labels, check_same_image,
    check_held_out, check_same_pixels,
    check_form, check_estimate, check_noise_types,
    count,
)  # fmt: skip


def check_made_folder(subject: Subject, findings: Findings) -> None:
    """Read the folder and run every check on it."""
    folder = read_made_folder(subject, findings)
    for check in CHECKS:
        check(folder, findings)
