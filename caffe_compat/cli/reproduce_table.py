"""``tools/reproduce_table.py``: run a recipe's chain of trainings and print the table of test accuracies."""

from __future__ import annotations

import argparse
import json
import signal
from collections.abc import Sequence
from pathlib import Path

from caffe_compat.cli.common import DONE, FAILED, Parser, command, positive
from caffe_compat.datasets.layout import TRUE_CONFUSION
from caffe_compat.errors import CaffeCompatError, DataError
from caffe_compat.evaluation.experiments.catalogue import RECIPES
from caffe_compat.evaluation.experiments.chain import Chain, StageFailed
from caffe_compat.evaluation.experiments.confusion_table import confusion_table
from caffe_compat.evaluation.experiments.jobs import data_folder
from caffe_compat.evaluation.experiments.own_recipe import own_recipe
from caffe_compat.evaluation.experiments.switches import SWITCHES, with_switches
from caffe_compat.evaluation.experiments.table import Table
from caffe_compat.evaluation.figures.inputs import read_data_folder
from caffe_compat.evaluation.figures.saving import save_figure
from caffe_compat.evaluation.figures.training import draw_training
from caffe_compat.evaluation.figures.training_results import Panels, training_panels
from caffe_compat.files import atomic_path
from caffe_compat.weights import read_layers

DEFAULT_RECIPE = "clothing1m"
OURS_STAGE = "ours"


def _parser() -> Parser:
    parser = Parser(
        prog="reproduce_table.py",
        description="Train everything a recipe compares, from the databases on, and print the test accuracies. Stages "
        "that have finished are not run again; one that was cut goes on from its last snapshot.",
    )
    experiment = parser.add_mutually_exclusive_group()
    experiment.add_argument(
        "--recipe",
        choices=sorted(RECIPES),
        help=f"the experiment (default: {DEFAULT_RECIPE}, the paper's Table 1, if there is no --nets)",
    )
    experiment.add_argument("--nets", type=Path, help="every method over your own nets, of tools/make_nets.py")
    parser.add_argument(
        "--data", type=Path, required=True, help="its databases; a seed takes DATA/seed_<n> if it is there"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for logs, weights, results and the table")
    parser.add_argument(
        "--seeds",
        type=positive,
        metavar="N",
        help="how many seeds, from --first_seed on (default: as many as the recipe reports)",
    )
    parser.add_argument(
        "--first_seed",
        type=positive,
        default=1,
        metavar="N",
        help="the first of them, to share seeds out over machines",
    )
    parser.add_argument(
        "--stages", nargs="+", metavar="STAGE", help="run only these, and what they start from (default: all)"
    )
    parser.add_argument(
        "--pretrained",
        type=Path,
        metavar="W",
        help="ILSVRC weights, for the rows that start from such; see docs/weights.md",
    )
    parser.add_argument(
        "--switch", action="append", default=[], metavar="D=CHOICE",
        help="a difference between the paper and its authors' release, chosen the other way; repeatable: "
        + "; ".join(f"{number}: {switch.about} ({', '.join(switch.choices)})"
                    for number, switch in SWITCHES.items() if switch.choices),
    )  # fmt: skip
    parser.add_argument(
        "--gpu",
        metavar="N",
        type=_one_gpu,
        help="train on this GPU. On several at once every batch would be that many times as large, which is another "
        "experiment: to use them all, start one command for each, with its own seeds",
    )
    parser.add_argument("--table_only", action="store_true", help="train nothing: the table of what has finished")
    return parser


def _one_gpu(text: str) -> str:
    """An argparse type."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected the number of one GPU, got '{text}'")
    return text


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = _parser()
    args = parser.parse_args(argv)
    recipe = own_recipe(args.nets) if args.nets else RECIPES[args.recipe or DEFAULT_RECIPE]
    recipe = with_switches(recipe, _choices(parser, args.switch))
    stages = [stage.name for stage in recipe.stages]
    if unknown := set(args.stages or ()) - set(stages):
        parser.error(f"--stages: expected some of {', '.join(stages)}, got {', '.join(sorted(unknown))}")
    seeds = range(args.first_seed, args.first_seed + (args.seeds or recipe.seeds))
    for option in ("stages", "gpu"):
        if args.table_only and getattr(args, option) is not None:
            parser.error(f"--table_only trains nothing; --{option} has no use")
    chain = Chain(recipe, args.data, args.out, args.gpu, args.pretrained)
    if args.pretrained is not None and not args.pretrained.is_file():
        raise DataError("--pretrained: no such file", path=str(args.pretrained))
    if args.pretrained is not None and not any(stage.pretrained for stage in recipe.stages):
        parser.error(f"--pretrained: no stage of recipe {recipe.name} starts from such weights")
    if not args.table_only and args.stages and set(args.stages) <= set(chain.left_out()):
        parser.error(f"--stages {' '.join(args.stages)}: start from weights that --pretrained gives")
    if args.table_only:
        _check_folder(args.out, "nothing has been trained there")
    else:
        _check_folder(args.data, f"{recipe.make_data} makes one")
        if args.pretrained is not None:
            read_layers(args.pretrained)  # found out before the first training if they are no weights
    confusion = _confusion(chain)
    if not args.table_only:
        chain.check_data(seeds, args.stages)
    args.out.mkdir(parents=True, exist_ok=True)
    problem = "" if args.table_only else _run(chain, seeds, args.stages)
    report(chain, seeds, confusion)
    if problem:
        print(f"\n{problem}")
    return FAILED if problem else DONE


def _run(chain: Chain, seeds: Sequence[int], stages: Sequence[str] | None) -> str:
    """Run what is missing; returns what ended that too early, or nothing."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the trainer snapshots and stops
    try:
        chain.run(seeds, stages)
    except StageFailed as exc:
        return str(exc)
    except KeyboardInterrupt:
        return "interrupted: the same command goes on where it stopped"
    finally:
        signal.signal(signal.SIGTERM, before)
    return ""


def report(chain: Chain, seeds: Sequence[int], confusion: str) -> None:
    """Print the table, ``confusion`` below it, and write it and the curves into the output folder."""
    runs = [(job, chain.finished(job)) for seed in seeds for job in chain.jobs(seed)]
    finished = {(job.stage.name, job.seed): result for job, result in runs if result is not None}
    left_out = [name for name in chain.left_out() if name not in {stage for stage, _ in finished}]
    table = Table(chain.recipe, finished, seeds, left_out)
    markdown = table.markdown() + confusion
    for name, text in (("table.md", markdown), ("table.json", json.dumps(table.as_json(), indent=1) + "\n")):
        with atomic_path(chain.out / name) as part:
            part.write_text(text)
    print(markdown)
    print(f"Logs, weights and results: {chain.out}/seed_<n>/<stage>/; this table: {chain.out}/table.md, table.json")
    for job, result in runs:
        if job.stage.name == OURS_STAGE and result is not None and job.final_weights.exists():
            trained = f"--model {job.net_file} --weights {job.final_weights} --data {job.data}"
            outputs = "--out labels.parquet --lists lists --report report.html"
            print(f"Next, which labels are wrong: tools/score_labels.py {trained} {outputs}")
            break
    panels = training_panels(chain.recipe, ((result, job.log_file) for job, result in runs if result is not None))
    if panels:
        _draw_curves(panels, chain.out)


def _draw_curves(panels: Panels, folder: Path) -> None:
    """Accuracy and losses over the iterations, as ``training.png`` and ``.svg``; the table does not depend on them."""
    try:
        paths = save_figure(draw_training(panels), folder, "training")
    except CaffeCompatError as exc:  # no matplotlib
        print(f"Curves: {exc}")
    else:
        print(f"Curves: {', '.join(map(str, paths))}")


def _confusion(chain: Chain) -> str:
    """The estimated C beside the one the labels were drawn from, where the data folder has it.

    Raises: DataError, FileNotFoundError for files that are missing or do not fit one another.
    """
    folder = data_folder(chain.data, seed=1)
    if not (folder / TRUE_CONFUSION).exists():
        return ""
    data = read_data_folder(folder)
    return "" if data.true is None else "\n" + confusion_table(data.estimated, data.true, data.names)


def _choices(parser: Parser, given: Sequence[str]) -> dict[str, str]:
    """{"D2": "release"} of ["D2=release"]."""
    for text in given:
        if "=" not in text:
            parser.error(f"--switch: expected D=CHOICE, got {text!r}")
    numbers = [text.partition("=")[0] for text in given]
    if len(set(numbers)) < len(numbers):
        parser.error("--switch: one is given twice")
    return {number: choice for number, _, choice in (text.partition("=") for text in given)}


def _check_folder(path: Path, remedy: str) -> None:
    if not path.is_dir():
        raise DataError(f"no such folder; {remedy}", path=str(path))
