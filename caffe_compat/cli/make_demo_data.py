"""tools/make_demo_data.py: drawn shop photographs with clean and noisy labels, and the databases of the nets."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from caffe_compat.cli.common import DONE, Parser, command, not_negative, number_from, positive
from caffe_compat.demo.plan import BEYOND_MODEL, MODEL, PLANS
from caffe_compat.machine import cores

_COUNTS = {
    "train_clean": "training pictures with both labels",
    "train_noisy": "training pictures with a noisy label alone",
    "val": "validation pictures",
    "test": "test pictures",
}
_SMALLEST = 32
_TRAIN_WITH = {
    "demo": "tools/reproduce_table.py --recipe demo --data {out} --out out/demo",
    "clothing1m": "tools/train_net.py --solver prototxt/ours_solver.prototxt",
}


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    from caffe_compat.demo.dataset import make_dataset  # here: worker processes import this file and need not load it

    given = {name: getattr(args, name) for name in (*_COUNTS, "size") if hasattr(args, name)}
    make_dataset(
        args.out,
        replace(PLANS[args.like], seed=args.seed, noise=args.noise, **given),
        processes=args.processes,
        initial_weights=args.like == "clothing1m",
        contact_sheet=args.contact_sheet,
        force=args.force,
    )
    print(f"wrote {args.out}; train on it with {_TRAIN_WITH[args.like].format(out=args.out)}")
    return DONE


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="make_demo_data",
        description="Draw shop photographs of 14 kinds of clothes, label them as the paper says shops do (about 61.5% "
        "right), and make the databases that the nets under prototxt/ read.",
        epilog="demo: for the small nets in prototxt/demo/. clothing1m: the same for the full-size nets, which look "
        "for OUT in data/clothing1m, with initial weights. truth.csv holds what the nets are not told; raw/ is laid "
        "out as Clothing1M is.",
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to make")
    parser.add_argument("--like", choices=tuple(PLANS), default="demo", help="which experiment the data are for")
    parser.add_argument(
        "--noise", choices=(MODEL, BEYOND_MODEL), default=MODEL,
        help="how labels go wrong: exactly as the paper's model says, or with noise types that depend on the class too "
        "and confusing labels that depend on the picture too (train with --recipe demo_beyond_model)",
    )  # fmt: skip
    for name, meaning in _COUNTS.items():
        _add_planned(parser, name, "N", positive, meaning)
    _add_planned(parser, "size", "PIXELS", _size, "height and width")
    parser.add_argument("--seed", type=not_negative, default=0, help="of everything that is drawn or shuffled")
    parser.add_argument(
        "--processes", type=positive, default=cores(), help="that draw; the result does not depend on it"
    )
    parser.add_argument("--contact_sheet", action="store_true", help="also draw OUT/contact_sheet.jpg: all classes")
    parser.add_argument("--force", action="store_true", help="replace the data files in an existing output folder")
    return parser.parse_args(argv)


def _add_planned(parser: Parser, name: str, metavar: str, kind: Callable[[str], int], meaning: str) -> None:
    """An option whose default is the plan's; absent when not given."""
    defaults = ", ".join(f"{getattr(plan, name)} {like}" for like, plan in PLANS.items())
    parser.add_argument(
        f"--{name}", metavar=metavar, type=kind, default=argparse.SUPPRESS, help=f"{meaning} (default: {defaults})"
    )


def _size(text: str) -> int:
    return number_from(_SMALLEST, text, f"a number from {_SMALLEST}")
