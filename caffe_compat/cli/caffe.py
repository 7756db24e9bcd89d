"""Caffe's own command line, unchanged: ``caffe train|test|time|device_query <flags>``.

Source: tools/caffe.cpp.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from caffe_compat.cli import test_net, time_net, train_net
from caffe_compat.cli.common import DONE, WRONG_USAGE, Parser, command
from caffe_compat.glog import log_to_folder
from caffe_compat.solver.device import gpus_of_flag

log = logging.getLogger("caffe_compat")

_DESCRIPTION = """\
command line brew
usage: caffe <command> <args>

commands:
  train           train or finetune a model
  test            score a model
  device_query    show GPU diagnostic information
  time            benchmark model execution time
"""

_FLAGS = {
    "gpu": "number of the GPU to use; without it the CPU (device_query: several, separated by ',', or 'all')",
    "solver": "the solver's prototxt file (train)",
    "model": "the net's prototxt file (test, time)",
    "phase": "the net's phase, TRAIN or TEST (time)",
    "level": "the net's level",
    "stage": "the net's stages, separated by ','",
    "snapshot": "a .solverstate to go on from (train)",
    "weights": "weights to start from (train) or to score (test); several files separated by ','",
    "iterations": "batches to run (test) or passes to time (time); 50 if not given",
    "sigint_effect": "what Ctrl-C does: stop, snapshot or none (train)",
    "sighup_effect": "what SIGHUP does: stop, snapshot or none (train)",
}
_NET_FLAGS = ("gpu", "level", "stage")


class _Command(NamedTuple):
    """One of Caffe's commands: the tool that does it, and those of the flags that it reads."""

    main: Callable[[Sequence[str]], int]
    flags: tuple[str, ...]


@command
def main(argv: Sequence[str] | None = None) -> int:
    """All commands take all flags, as Caffe's do; one that the command does not read is pointed out in the log."""
    parser = _parser()
    args, rest = parser.parse_known_args(argv)
    unknown = [word for word in rest if word.startswith("-")]
    if unknown:
        parser.error(f"unknown command line flag '{unknown[0].lstrip('-')}'")
    if not rest:
        parser.print_help()
        return DONE
    if len(rest) > 1:
        parser.error(f"expected one command, got {' '.join(rest)}")
    if args.log_dir:
        log_to_folder(args.log_dir, "caffe")
    return _run(rest[0], args)


def _parser() -> Parser:
    parser = Parser(
        prog="caffe",
        usage=argparse.SUPPRESS,
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for flag, text in _FLAGS.items():
        parser.add_argument(f"--{flag}", metavar=flag.upper(), help=text)
    glog = parser.add_argument_group("glog's flags")
    glog.add_argument("--log_dir", metavar="FOLDER", help="write the log to a file in this folder too")
    for flag in ("logtostderr", "alsologtostderr"):
        glog.add_argument(f"--{flag}", action="store_true", help="the log always goes to stderr")
    return parser


def _run(name: str, args: argparse.Namespace) -> int:
    found = _COMMANDS.get(name)
    if found is None:
        log.error("Available caffe actions:")
        for known in sorted(_COMMANDS):
            log.error("\t%s", known)
        log.critical("Unknown action: %s", name)
        return WRONG_USAGE
    given = {flag: getattr(args, flag) for flag in _FLAGS if getattr(args, flag) is not None}
    for flag in sorted(set(given) - set(found.flags)):
        log.warning("%s does not read the flag '%s'", name, flag)
    return found.main([f"--{flag}={value}" for flag, value in given.items() if flag in found.flags])


def device_query(argv: Sequence[str]) -> int:
    """Tell what is known of each GPU of ``--gpu``. Source: Caffe::DeviceQuery, src/caffe/common.cpp."""
    parser = Parser(prog="caffe device_query")
    parser.add_argument("--gpu", default="")
    gpu = parser.parse_args(argv).gpu
    log.info("Querying GPUs %s", gpu)
    for number in gpus_of_flag(gpu):
        properties = torch.cuda.get_device_properties(number)
        for title, value in (
            ("Device id", number),
            ("Major revision number", properties.major),
            ("Minor revision number", properties.minor),
            ("Name", properties.name),
            ("Total global memory", properties.total_memory),
            ("Total shared memory per block", properties.shared_memory_per_block),
            ("Warp size", properties.warp_size),
            ("Number of multiprocessors", properties.multi_processor_count),
        ):
            log.info("%-30s %s", f"{title}:", value)
    return DONE


_COMMANDS = {
    "train": _Command(train_net.main, (*_NET_FLAGS, "solver", "snapshot", "weights", "sigint_effect", "sighup_effect")),
    "test": _Command(test_net.main, (*_NET_FLAGS, "model", "weights", "iterations")),
    "device_query": _Command(device_query, ("gpu",)),
    "time": _Command(time_net.main, (*_NET_FLAGS, "model", "phase", "iterations")),
}
