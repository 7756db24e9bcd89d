"""tools/upgrade_net_proto.py: nets, weights and solvers of old formats in today's.

Source: tools/upgrade_net_proto_text.cpp, upgrade_net_proto_binary.cpp and upgrade_solver_proto_text.cpp.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from caffe_compat.cli.common import DONE, Parser, command, refuse_existing
from caffe_compat.files import atomic_path
from caffe_compat.proto.caffe_pb2 import NetParameter, SolverParameter
from caffe_compat.prototxt import to_text
from caffe_compat.prototxt.reading import read_as_written
from caffe_compat.prototxt.upgrade import needs_upgrade, solver_needs_upgrade, upgrade_net, upgrade_solver
from caffe_compat.weights.binary import write_message
from caffe_compat.weights.caffemodel import read_net_message, upgrade_net_message

logger = logging.getLogger("caffe_compat")

_TEXT = {*range(0x20, 0x7F), *range(0x80, 0x100), *b"\t\n\v\f\r"}
_ENOUGH = 4096  # bytes: no binary net goes that far without a control character


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="upgrade_net_proto",
        description="Write a net (text, or binary as .caffemodel files are) or a solver of an old format in today's.",
    )
    parser.add_argument("source", metavar="IN", help="the file to read; text or binary is told by what is in it")
    parser.add_argument("target", metavar="OUT", help="the file to write, of the same kind")
    parser.add_argument("--solver", action="store_true", help="IN is a solver, in text")
    parser.add_argument("--force", action="store_true", help="overwrite OUT if it exists")
    args = parser.parse_args(argv)
    refuse_existing([args.target], args.force)
    if args.solver:
        _upgrade_solver(args.source, args.target)
    elif _is_binary(args.source):
        _upgrade_weights(args.source, args.target)
    else:
        _upgrade_net(args.source, args.target)
    return DONE


def _is_binary(path: str) -> bool:
    """Whether a file has what no text has; False for one that cannot be read, which its reader will say."""
    try:
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as file:
            return not _TEXT.issuperset(file.read(_ENOUGH))
    except OSError:
        return False


def _upgrade_net(source: str, target: str) -> None:
    net = read_as_written(source, NetParameter())
    _tell(source, needs_upgrade(net))
    _write_text(target, to_text(upgrade_net(net, source)))
    logger.info("Wrote upgraded NetParameter text proto to %s", target)


def _upgrade_weights(source: str, target: str) -> None:
    """The blobs go over as they are, byte by byte."""
    net, blobs = read_net_message(source)
    _tell(source, needs_upgrade(net))
    write_message(target, upgrade_net_message(net, source), [[blob.whole] for blob in blobs])
    logger.info("Wrote upgraded NetParameter binary proto to %s", target)


def _upgrade_solver(source: str, target: str) -> None:
    solver = read_as_written(source, SolverParameter())
    _tell(source, solver_needs_upgrade(solver))
    _write_text(target, to_text(upgrade_solver(solver, source)))
    logger.info("Wrote upgraded SolverParameter text proto to %s", target)


def _tell(source: str, is_old: bool) -> None:
    if not is_old:
        logger.error("File already in latest proto format: %s", source)


def _write_text(target: str, text: str) -> None:
    with atomic_path(target) as part:
        Path(part).write_text(text, encoding="utf-8")
