"""Train or fine-tune a net: ``caffe train``.

Several GPUs of this machine by ``--gpu 0,1``; several machines, or processes on the CPU, by ``torchrun``.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence

import torch

from caffe_compat.cli.common import DONE, Parser, command, not_negative, positive
from caffe_compat.cli.launch import run_on_each
from caffe_compat.cli.net_flags import add_net_flags
from caffe_compat.cli.python_layers import let_python_layers_import_caffe
from caffe_compat.data.loader import share_cores
from caffe_compat.errors import CaffeCompatError, expected_got
from caffe_compat.glog import set_up_logging
from caffe_compat.proto.caffe_pb2 import Phase, SolverParameter
from caffe_compat.prototxt import read_solver
from caffe_compat.pycaffe.parallel import set_solver_count, set_solver_rank
from caffe_compat.solver import Action, Solver, signal_actions
from caffe_compat.solver.device import device_of_solver, gpus_of_flag
from caffe_compat.solver.ranks import Seat, join, seat_of_torchrun

log = logging.getLogger("caffe_compat")

EFFECTS = [action.value for action in Action]
_NO_EFFECTS = (Action.NONE, Action.NONE)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument("--solver", required=True, help="the solver's prototxt file")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--weights", help="files to start from, separated by ','; they replace the solver's own")
    start.add_argument("--snapshot", help="a .solverstate to go on from")
    parser.add_argument("--iterations", type=positive, help="stop after this many iterations")
    parser.add_argument("--data_start", type=not_negative, default=0, metavar="RECORD",
                        help="where the training data start (Caffe starts over when it resumes)")  # fmt: skip
    add_net_flags(parser, "numbers of the GPUs to use, separated by ',', or 'all': each takes batches of its own, and "
                  "all the mean of their gradients; without it the CPU")  # fmt: skip
    parser.add_argument("--phase", choices=Phase.keys(), help="the train net's phase, TRAIN unless the net says so")
    parser.add_argument("--sigint_effect", choices=EFFECTS, default="stop", help="what Ctrl-C does")
    parser.add_argument("--sighup_effect", choices=EFFECTS, default="snapshot", help="what SIGHUP does")
    return parser.parse_args(argv)


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    task = args, read_parameters(args)
    seat = seat_of_torchrun()
    gpus = gpus_of_flag(args.gpu)
    if seat is None and len(gpus) > 1:
        return run_on_each(len(gpus), train, task)
    return train(task, seat)


def train(task: tuple[argparse.Namespace, SolverParameter], seat: Seat | None) -> int:
    """Train as flags and solver say in this process, alone or as one of several."""
    args, param = task
    let_python_layers_import_caffe()
    if seat is not None:
        share_cores(seat.local_count)
        set_solver_count(seat.count)  # for Python layers that ask
        set_solver_rank(seat.rank)
        if seat.rank > 0:
            set_up_logging(level=logging.ERROR)  # what there is to tell the root tells
    device = choose_device(args.gpu, param, seat)
    with join(seat, device) as ranks:
        with ranks.root_first():
            solver = Solver(param, path=args.solver, data_start=args.data_start, device=device, ranks=ranks)
            if args.snapshot:
                log.info("Resuming from %s", args.snapshot)
                solver.restore(args.snapshot)
        log.info("Starting Optimization")
        effects = (Action(args.sigint_effect), Action(args.sighup_effect)) if ranks.is_root else _NO_EFFECTS
        with signal_actions(*effects) as solver.action_request:
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


def choose_device(gpu_flag: str, param: SolverParameter, seat: Seat | None = None) -> torch.device:
    """This process's GPU of the flag, else what the solver's file wants; logged as Caffe does.

    Raises: CaffeCompatError if there are fewer GPUs than processes on this machine.
    """
    gpus = gpus_of_flag(gpu_flag)
    own = device_of_solver(param)
    if not gpus and own.type == "cpu":
        log.info("Use CPU.")
        return own
    if not gpus:
        gpus = [own.index] if seat is None else list(range(torch.cuda.device_count()))
    number, count = (0, 1) if seat is None else (seat.local_rank, seat.local_count)
    if len(gpus) < count:
        raise CaffeCompatError(expected_got(f"a GPU for each of {count} processes", gpus), field="--gpu")
    log.info("Using GPUs %s", ", ".join(map(str, gpus[:count])))
    for gpu in gpus[:count]:
        log.info("GPU %d: %s", gpu, torch.cuda.get_device_name(gpu))
    return torch.device("cuda", gpus[number])
