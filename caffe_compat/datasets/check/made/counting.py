"""Class counts of every split, and label accuracy on the pairs."""

from __future__ import annotations

import numpy as np

from caffe_compat.datasets import layout
from caffe_compat.datasets.check.counts import count_classes, measure_label_accuracy
from caffe_compat.datasets.check.findings import Findings
from caffe_compat.datasets.check.made.folder import LABELLED, MadeFolder
from caffe_compat.datasets.check.made.labels import mixed_columns


def count(folder: MadeFolder, findings: Findings) -> None:
    """Class counts of the labelled databases and of both labels of the mixed set; label accuracy on the pairs."""
    if folder.num_classes is None:
        return
    names = dict(enumerate(folder.names or [""] * folder.num_classes))
    splits = {name: folder.images[name].labels for name in LABELLED if name in folder.images}
    columns = mixed_columns(folder)
    mixed = (layout.MIXED_CLEAN_LABELS, layout.MIXED_NOISY_LABELS)
    count_classes({**splits, **{name: columns[name] for name in mixed if name in columns}}, names, findings)
    if folder.pairs:
        labels = np.array([(clean, noisy) for _, clean, noisy in folder.pairs], np.int64)
        measure_label_accuracy(layout.PAIRS, labels[:, 0], labels[:, 1], folder.num_classes, findings)
