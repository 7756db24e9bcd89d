"""Train or fine-tune a net: ``caffe train``."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence

import torch

from caffe_compat.cli.common import DONE, Parser, command, not_negative, positive
from caffe_compat.cli.net_flags import add_net_flags
from caffe_compat.cli.python_layers import let_python_layers_import_caffe
from caffe_compat.proto.caffe_pb2 import Phase, SolverParameter
from caffe_compat.prototxt import read_solver
from caffe_compat.solver import Action, Solver, signal_actions
from caffe_compat.solver.device import device_of_solver, gpu_of_flag

log = logging.getLogger("caffe_compat")

EFFECTS = [action.value for action in Action]


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument("--solver", required=True, help="the solver's prototxt file")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--weights", help="files to start from, separated by ','; they replace the solver's own")
    start.add_argument("--snapshot", help="a .solverstate to go on from")
    parser.add_argument("--iterations", type=positive, help="stop after this many iterations")
    parser.add_argument("--data_start", type=not_negative, default=0, metavar="RECORD",
                        help="where the training data start (Caffe starts over when it resumes)")  # fmt: skip
    add_net_flags(parser)
    parser.add_argument("--phase", choices=Phase.keys(), help="the train net's phase, TRAIN unless the net says so")
    parser.add_argument("--sigint_effect", choices=EFFECTS, default="stop", help="what Ctrl-C does")
    parser.add_argument("--sighup_effect", choices=EFFECTS, default="snapshot", help="what SIGHUP does")
    return parser.parse_args(argv)


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    let_python_layers_import_caffe()
    param = read_parameters(args)
    device = choose_device(args.gpu, param)
    solver = Solver(param, path=args.solver, data_start=args.data_start, device=device)
    if args.snapshot:
        log.info("Resuming from %s", args.snapshot)
        solver.restore(args.snapshot)
    log.info("Starting Optimization")
    with signal_actions(Action(args.sigint_effect), Action(args.sighup_effect)) as solver.action_request:
        solver.solve(iterations=args.iterations)
    log.info("Optimization Done.")
    return DONE


def read_parameters(args: argparse.Namespace) -> SolverParameter:
    """The solver's message with the flags put in.

    As in Caffe the level is always set and a stage always added, if only an empty one; weights of the solver's own
    count only when the command line gives neither weights nor a snapshot.
    """
    param, _ = read_solver(args.solver)
    if args.phase:
        param.train_state.phase = Phase.Value(args.phase)  # type: ignore[assignment]
    param.train_state.level = args.level
    param.train_state.stage.extend(args.stage.split(","))
    if args.weights or args.snapshot:
        del param.weights[:]
    if args.weights:
        param.weights.append(args.weights)
    return param


def choose_device(gpu_flag: str, param: SolverParameter) -> torch.device:
    """The GPU of the flag, else what the solver's file wants; logged as Caffe does."""
    gpu = gpu_of_flag(gpu_flag)
    device = device_of_solver(param) if gpu is None else torch.device("cuda", gpu)
    if device.type == "cpu":
        log.info("Use CPU.")
    else:
        log.info("Using GPUs %d", device.index)
        log.info("GPU %d: %s", device.index, torch.cuda.get_device_name(device))
    return device
