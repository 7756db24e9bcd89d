"""The label report: what the noise is, which labels to look at first, how far to trust it; one page, no other file."""

from caffe_compat.evaluation.report.content import gather
from caffe_compat.evaluation.report.page import page

__all__ = ["gather", "page"]
