"""tools/estimate_confusion.py: estimate C and the noise types from pairs of clean and noisy labels (Eq. 8-14)."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from caffe_compat.cli.common import Parser, command, refuse_existing
from caffe_compat.datasets.class_names import read_names
from caffe_compat.datasets.confusion_files import (
    npy_beside,
    write_confusion,
    write_noise_type_log_prior,
    write_transition,
)
from caffe_compat.datasets.pairs import count_pairs_in, read_pairs, require_regular_file, write_noise_types
from caffe_compat.errors import DataError, expected_got
from caffe_compat.files import atomic_path
from caffe_compat.label_noise.confusion import NOISE_TYPE_NAMES, ConfusionEstimate, estimate_from_counts
from caffe_compat.label_noise.transitions import noise_type_losses


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    outputs = _outputs(args)
    require_regular_file(args.pairs)
    names = read_names(args.names, args.num_classes) if args.names else [""] * args.num_classes
    estimate = estimate_from_counts(count_pairs_in(args.pairs, args.num_classes))
    if args.noise_types is not None:
        with atomic_path(args.noise_types) as part:
            write_noise_types(part, _noise_types(args.pairs, estimate))
    if args.transition is not None:
        write_transition(args.transition, estimate)
    if args.noise_type_log_prior is not None:
        write_noise_type_log_prior(args.noise_type_log_prior, estimate)
    write_confusion(args.out, estimate.confusion)
    print("\n".join(_table(estimate, names)))
    for path in outputs:
        print(f"wrote {path}")
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="estimate_confusion",
        description="Estimate the matrix of confusing noise C and the noise type of every sample (Eq. 8-14). "
        "The CSV is read twice; eight bytes of each row are held in memory.",
    )
    parser.add_argument("pairs", help="CSV with the header key,clean,noisy; labels from 0; quote keys with commas")
    parser.add_argument("--num_classes", type=int, required=True, help="number of classes L, at least 2")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="C indexed [noisy, true] as a BlobProto of shape 1,1,L,L; float64 beside it with the suffix .npy",
    )
    parser.add_argument("--noise_types", type=Path, help="CSV to write: key,noise_type for every sample")
    parser.add_argument(
        "--transition", type=Path, help="BlobProto to write: p(noisy | true) as counted, for the bottom-up baseline"
    )
    parser.add_argument(
        "--noise_type_log_prior", type=Path, help="BlobProto to write: log of the noise types' frequencies"
    )
    parser.add_argument("--names", help="text file with one class name a line, for the table")
    parser.add_argument("--force", action="store_true", help="overwrite existing output files")
    args = parser.parse_args(argv)
    if args.num_classes < 2:
        parser.error(f"--num_classes: {expected_got('at least 2', args.num_classes)}")
    if args.out.suffix == ".npy":
        parser.error("--out: expected a BlobProto name such as C.binaryproto; the .npy is written beside it")
    return args


def _outputs(args: argparse.Namespace) -> list[Path]:
    outputs = [args.out, npy_beside(args.out), args.noise_types, args.transition, args.noise_type_log_prior]
    refuse_existing(outputs, args.force, [args.pairs, args.names])
    return [path for path in outputs if path is not None]


def _noise_types(pairs: str, estimate: ConfusionEstimate) -> Iterator[tuple[str, int]]:
    """The second pass. Raises: DataError if the file has changed since it was counted."""
    rows_counted = int(estimate.counts.sum())
    table = estimate.noise_type_table.tolist()
    rows_read = 0
    for key, clean, noisy in itertools.islice(read_pairs(pairs, len(table)), rows_counted + 1):
        rows_read += 1
        yield key, table[noisy][clean]
    if rows_read != rows_counted:
        raise DataError(f"changed while it was read: {expected_got(f'{rows_counted} rows', rows_read)}", path=pairs)


def _table(estimate: ConfusionEstimate, names: Sequence[str]) -> Iterator[str]:
    width = max(4, *map(len, names))
    heads = " ".join(f"{name:>11}" for name in NOISE_TYPE_NAMES)
    yield f"class {'name':<{width}} {'samples':>9} {'wrong':>9} k* mass kept {heads}"
    by_type = estimate.noise_type_counts()
    samples = estimate.counts.sum(axis=0)
    for true, name in enumerate(names):
        wrong = samples[true] - by_type[true, 0]
        mass = f"{estimate.mass_kept[true]:9.4f}" if wrong else f"{'-':>9}"
        types = " ".join(f"{count:11d}" for count in by_type[true])
        yield f"{true:5d} {name:<{width}} {samples[true]:9d} {wrong:9d} {estimate.k_star[true]:2d} {mass} {types}"
    total, wrong = samples.sum(), samples.sum() - by_type[:, 0].sum()
    types = " ".join(f"{count:11d}" for count in by_type.sum(axis=0))
    yield f"{'all':>5} {'':<{width}} {total:9d} {wrong:9d} {'':>12} {types}"
    constant, of_class = noise_type_losses(estimate)
    yield f"log loss of p(z|x): {constant:.3f} nats for these frequencies, {of_class:.3f} for those of the true class"
