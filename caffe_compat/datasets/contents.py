"""From lists of samples to a whole data folder: what the importers have in common."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffe_compat.data.mean import mean_image
from caffe_compat.datasets import layout
from caffe_compat.datasets.confusion_files import write_confusion, write_noise_type_log_prior, write_transition
from caffe_compat.datasets.databases import ReadImage, write_images, write_labels
from caffe_compat.datasets.mixing import Mix, write_mix
from caffe_compat.datasets.pairs import write_noise_types, write_pairs
from caffe_compat.datasets.samples import NO_LABEL, Samples
from caffe_compat.label_noise.confusion import ConfusionEstimate, estimate_confusion
from caffe_compat.weights import write_blobproto_file

NTYPE_TRAIN_SHARE = 0.8  # 8,000 of 10,000, as in the authors' CIFAR-10 experiment

logger = logging.getLogger("caffe_compat")


@dataclass(frozen=True)
class Contents:
    """What a data folder is made from. Databases are named as in ``layout``.

    Attributes:
        names: class names.
        labelled: image databases with clean labels, name -> samples in the order they are to be read.
        typed: image databases with noise types, likewise.
        mixed: the mixed training set.
        mean_over: the database whose mean image is taken.
        pairs: the samples with both labels that C is estimated from.
        estimate: C and what belongs to it.
    """

    names: Sequence[str]
    labelled: Mapping[str, Samples]
    typed: Mapping[str, Samples]
    mixed: Mix
    mean_over: str
    pairs: Samples
    estimate: ConfusionEstimate


def write_contents(folder: Path, contents: Contents, read_image: ReadImage, materialise: bool = False) -> None:
    """Write everything into ``folder``, which is there and empty. ``materialise``: see ``mixing.write_mix``."""
    (folder / layout.NAMES).write_text("".join(f"{name}\n" for name in contents.names), encoding="utf-8")
    _write_estimate(folder, contents)
    for name, samples in contents.labelled.items():
        logger.info("%s: %d images with clean labels", name, len(samples))
        write_images(folder / name, samples, read_image, samples.clean)
        if name == layout.VAL and (samples.noisy != NO_LABEL).any():
            write_labels(folder / layout.VAL_NOISY_LABELS, samples.noisy)
    for name, samples in contents.typed.items():
        logger.info("%s: %d images with noise types", name, len(samples))
        write_images(folder / name, samples, read_image, samples.noise_type)
    mixed = contents.mixed
    logger.info("mixed set: %d images, %d records", len(mixed.samples), len(mixed.order))
    write_mix(folder, mixed, read_image, materialise)
    write_blobproto_file(folder / layout.MEAN, mean_image(folder / contents.mean_over))


def estimate_from(pairs: Samples, num_classes: int) -> ConfusionEstimate:
    """C from samples that all have both labels."""
    return estimate_confusion(pairs.noisy, pairs.clean, num_classes)


def with_noise_types(samples: Samples, estimate: ConfusionEstimate) -> Samples:
    """The samples with the noise types that follow from C (Theorem 2); -1 where one of the two labels is absent."""
    both = (samples.clean != NO_LABEL) & (samples.noisy != NO_LABEL)
    noise_type = np.where(both, estimate.noise_type_table[samples.noisy, samples.clean], NO_LABEL)
    return Samples(samples.paths, samples.clean, samples.noisy, noise_type)


def split_noise_types(pairs: Samples) -> dict[str, Samples]:
    """The databases with noise types: of samples that are shuffled already, the first four fifths and the rest."""
    num_train = int(NTYPE_TRAIN_SHARE * len(pairs))
    return {
        layout.NTYPE_TRAIN: pairs.take(np.arange(num_train)),
        layout.NTYPE_VAL: pairs.take(np.arange(num_train, len(pairs))),
    }


def _write_estimate(folder: Path, contents: Contents) -> None:
    pairs = contents.pairs
    write_confusion(folder / layout.CONFUSION, contents.estimate.confusion)
    write_transition(folder / layout.TRANSITION, contents.estimate)
    write_noise_type_log_prior(folder / layout.NOISE_TYPE_LOG_PRIOR, contents.estimate)
    write_pairs(folder / layout.PAIRS, zip(pairs.paths, pairs.clean.tolist(), pairs.noisy.tolist(), strict=True))
    typed = (
        pair
        for samples in contents.typed.values()
        for pair in zip(samples.paths, samples.noise_type.tolist(), strict=True)
    )
    write_noise_types(folder / layout.NOISE_TYPES, typed)
