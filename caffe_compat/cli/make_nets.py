"""tools/make_nets.py: nets and solvers of prototxt/ for another data folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from caffe_compat.cli.common import DONE, Parser, command
from caffe_compat.evaluation.experiments.own_nets import MODELS, NETS, write_nets


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    write_nets(args.data, args.out, MODELS[args.like])
    print(f"wrote {args.out}: {', '.join(f'{name}_train_val.prototxt' for name in NETS)}, and a solver of each")
    print("their rates and numbers of iterations are those of the original; look at the solvers")
    print(f"next: tools/reproduce_table.py --nets {args.out} --data {args.data} --out OUT --seeds 1")
    return DONE


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    models = "; ".join(f"{name}: {model.about}" for name, model in MODELS.items())
    parser = Parser(
        prog="make_nets",
        description="Write nets and solvers for a data folder: its paths, its classes, tests that read every test "
        "image once. They are yours to edit.",
        epilog=f"--like: {models}.",
    )
    parser.add_argument("data", metavar="DATA", type=Path, help="a data folder, as the import tools make")
    parser.add_argument("out", metavar="NETS", type=Path, help="folder to make")
    parser.add_argument("--like", choices=MODELS, default="demo", help="the nets to start from")
    return parser.parse_args(argv)
