"""tools/score_labels.py: which labels of a noisy set are wrong, and what they should be."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from caffe_compat.cli.common import DONE, Parser, command, make_folders_of, positive, refuse_existing
from caffe_compat.cli.net_flags import device_of_flags
from caffe_compat.data.database import BACKENDS, LMDB
from caffe_compat.datasets import layout
from caffe_compat.datasets.class_names import read_names
from caffe_compat.datasets.samples import NO_LABEL
from caffe_compat.datasets.truth import read_truth
from caffe_compat.errors import DataError
from caffe_compat.evaluation.label_quality.cleanlab_comparison import export_for_cleanlab
from caffe_compat.evaluation.label_quality.label_scores import LabelScorer, LabelScores
from caffe_compat.evaluation.label_quality.noisy_records import Sources, find_noisy_records
from caffe_compat.evaluation.label_quality.ranked_lists import RANDOM_SAMPLE, SAMPLE_SIZE, write_lists
from caffe_compat.evaluation.label_quality.scores_file import ScoresFile, ScoresInfo, new_scores, read_scores
from caffe_compat.evaluation.label_quality.scoring_net import scoring_net
from caffe_compat.evaluation.report import gather, page
from caffe_compat.files import atomic_path
from caffe_compat.glog import warnings_only
from caffe_compat.machine import versions
from caffe_compat.prototxt import read_net
from caffe_compat.solver.progress import progress_bar

logger = logging.getLogger("caffe_compat")

_SECONDS_PER_LINE = 10.0
_USES = ("lists", "report", "export_cleanlab")  # of scores, whether new or made before


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    _refuse_existing(args)
    if args.scores is None:
        _score(args)
    else:
        make_folders_of([args.report])
    _use(read_scores(args.scores or args.out), args)
    return DONE


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="score_labels",
        description="Judge every noisy label of a data set with a trained two-branch net: p(y|x), p(z|x), the "
        "posterior of the true label, the label to suggest and the probability that the given one is wrong.",
    )
    parser.add_argument("--scores", metavar="PARQUET", help="scores made before, instead of --model to --out")
    parser.add_argument("--model", help="the net's prototxt file, as it was trained")
    parser.add_argument("--weights", help="the trained weights, with C")
    data = parser.add_argument_group("data", "--data, or --images and --labels")
    data.add_argument("--data", metavar="DIR", help=f"a data folder: {layout.MIXED_IMAGES} and its labels")
    data.add_argument("--images", metavar="DB", help="the image database")
    data.add_argument("--labels", metavar="DB", help="noisy labels, one a record in reading order; -1: none")
    data.add_argument("--clean_labels", metavar="DB", help="likewise, the labels taken for true in training")
    data.add_argument("--index", metavar="NPY", help="the reading order of --images, if it is not that of the keys")
    data.add_argument("--backend", choices=BACKENDS, default=LMDB, help="the kind of database")
    data.add_argument("--mean_file", help="the mean to subtract, if the net's own is elsewhere now")
    data.add_argument("--names", help=f"class names, one a line (with --data: its {layout.NAMES})")
    data.add_argument(
        "--truth", metavar="CSV", help="true labels of some or all images, to compare with: key,true or a list"
    )
    parser.add_argument("--out", metavar="PARQUET", type=Path, help="the scores, one row an image")
    parser.add_argument("--csv", metavar="CSV", type=Path, help="the same as CSV")
    parser.add_argument("--full", action="store_true", help="also the probabilities of all classes (p_true, q_true)")
    parser.add_argument("--batch_size", type=positive, default=100, help="images in a batch; no score depends on it")
    parser.add_argument("--gpu", default="", help="number of the GPU to use; without it the CPU")
    use = parser.add_argument_group("use")
    use.add_argument("--lists", metavar="DIR", help="lists to work through, one a pair of given and suggested label")
    use.add_argument("--sample_size", metavar="N", type=positive, default=SAMPLE_SIZE,
                     help=f"images in the lists' {RANDOM_SAMPLE} (default: %(default)s)")  # fmt: skip
    use.add_argument(
        "--report", metavar="HTML", type=Path, help="a page to read: the noise, the labels, how far to trust"
    )
    use.add_argument("--export_cleanlab", metavar="DIR", help="pred_probs.npy, labels.npy, keys.txt (needs --full)")
    parser.add_argument("--force", action="store_true", help="overwrite files that exist (not folders)")
    args = parser.parse_args(argv)
    _check(parser, args)
    return args


def _check(parser: Parser, args: argparse.Namespace) -> None:
    """Refuse what is missing, and what would have no effect."""
    given = [name for name, value in vars(args).items() if value != parser.get_default(name)]
    if "sample_size" in given and not args.lists:
        parser.error("--sample_size is of --lists")
    if args.scores:
        if useless := [f"--{name}" for name in given if name not in ("scores", "force", "sample_size", *_USES)]:
            parser.error(f"{', '.join(useless)}: no effect with --scores, which takes the place of net, data and --out")
        if not any(name in given for name in _USES):
            parser.error(f"--scores: give one of {', '.join(f'--{name}' for name in _USES)}")
        return
    if not (args.model and args.weights and args.out):
        parser.error("give --model, --weights and --out (or --scores)")
    if args.export_cleanlab and not args.full:
        parser.error("--export_cleanlab needs --full")
    if bool(args.data) == bool(args.images) or bool(args.images) != bool(args.labels):
        parser.error("give either --data, or --images and --labels")
    if args.data and (useless := [f"--{name}" for name in ("clean_labels", "index", "backend") if name in given]):
        parser.error(f"{', '.join(useless)}: no effect with --data, whose files have fixed names")


def _refuse_existing(args: argparse.Namespace) -> None:
    refuse_existing([args.out, args.csv, args.report], args.force, [args.scores, args.truth, args.names])
    for folder in (args.lists, args.export_cleanlab):
        if folder is not None and Path(folder).exists():
            raise DataError("exists; remove it, or name another folder", path=folder)


def _score(args: argparse.Namespace) -> None:
    device = device_of_flags(args)
    sources = _sources(args)
    with warnings_only():  # how the net is built is not what the user asks for
        scoring = scoring_net(read_net(args.model)[0], args.model)
        if args.mean_file:
            scoring.transform.mean_file = args.mean_file
        _check_mean_file(scoring.transform.mean_file, args)
        records = find_noisy_records(sources)
        scorer = LabelScorer(scoring, args.weights, records, args.batch_size, device, args.model)
    info = ScoresInfo(
        class_names=_class_names(args, scorer.num_classes),
        confusion=scorer.confusion.tolist(),
        model=args.model,
        weights=args.weights,
        images=sources.images,
        backend=sources.backend,
        versions=versions(),
    )
    truth = _truth(args.truth, records.keys, scorer.num_classes)
    make_folders_of([args.out, args.csv, args.report])  # what cannot be made is found out before hours of scoring
    with new_scores(args.out, args.csv, info, args.full) as writer:
        done = 0
        for scores in _with_progress(scorer, len(records.keys), args.batch_size):
            writer.write(scores, truth[done : done + len(scores.keys)])
            done += len(scores.keys)
    for path in filter(None, (args.out, args.csv)):
        print(f"wrote {path}: {done} records")


def _check_mean_file(path: str, args: argparse.Namespace) -> None:
    """Raises: DataError that names the mean beside the images where the net's own is not there."""
    if path and not Path(path).exists():
        beside = Path(args.data or Path(args.images).parent, layout.MEAN)
        remedy = f"beside the images there is one: --mean_file {beside}" if beside.exists() else "--mean_file names it"
        raise DataError(f"no mean file there, which the net subtracts; {remedy}", path=path)


def _use(scores: ScoresFile, args: argparse.Namespace) -> None:
    if args.lists:
        written = write_lists(args.lists, scores, args.sample_size)
        print(f"wrote {args.lists}: {written} lists, and {RANDOM_SAMPLE} to calibrate by")
        print(f"next: decide in them; then tools/apply_decisions.py {args.lists} --out clean_additions.csv")
    if args.report:
        with atomic_path(args.report) as part:
            part.write_text(page(gather(scores)), encoding="utf-8")
        print(f"wrote {args.report}: {args.report.stat().st_size / 2**20:.1f} MB")
    if args.export_cleanlab:
        export_for_cleanlab(scores, args.export_cleanlab)
        print(f"wrote {args.export_cleanlab}: {scores.num_rows} records")


def _sources(args: argparse.Namespace) -> Sources:
    if args.data:
        return Sources.of_folder(args.data)
    return Sources(args.images, args.labels, args.clean_labels, args.index, args.backend)


def _class_names(args: argparse.Namespace, num_classes: int) -> list[str]:
    """Those of the names file; numbers if there is none."""
    path = Path(args.names) if args.names else Path(args.data, layout.NAMES) if args.data else None
    if path is None or (not args.names and not path.exists()):
        return [str(label) for label in range(num_classes)]
    return read_names(path, num_classes)


def _truth(path: str | None, keys: Sequence[str], num_classes: int) -> np.ndarray:
    """The true labels of ``keys``, -1 where not known. Raises: DataError if the CSV has none of them."""
    if path is None:
        return np.full(len(keys), NO_LABEL)
    by_key = read_truth(path, num_classes)
    truth = np.array([by_key.get(key, NO_LABEL) for key in keys])
    if (truth == NO_LABEL).all():
        raise DataError(f"none of its keys is among the images, e.g. {next(iter(by_key))!r}; an image's is "
                        f"{keys[0]!r}", path=path)  # fmt: skip
    logger.info("%s: the true labels of %d of %d images", path, (truth != NO_LABEL).sum(), len(keys))
    return truth


def _with_progress(scorer: LabelScorer, records: int, batch_size: int) -> Iterator[LabelScores]:
    began = last = time.monotonic()
    done = 0
    with progress_bar(0, -(-records // batch_size), batch_size) as advance:
        for scores in scorer:
            yield scores
            advance()
            done += len(scores.keys)
            now = time.monotonic()
            if now - last > _SECONDS_PER_LINE or done == records:
                last = now
                logger.info("Scored %d of %d images (%.4g a second)", done, records, done / (now - began))
