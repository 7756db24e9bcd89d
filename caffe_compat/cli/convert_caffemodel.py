"""tools/convert_caffemodel.py: put layers of several .caffemodel files, renamed, into one."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path

from caffe_compat.cli.common import DONE, Parser, command
from caffe_compat.errors import WeightsError
from caffe_compat.glog import shape_text
from caffe_compat.prototxt import read_net
from caffe_compat.weights.merging import Merged, Rename, Source, merge_weights, write_merged

_SUFFIX = ".caffemodel"
_MAP = re.compile(r"(?:(?P<input>\d+):)?(?P<source>[^=]+)=(?P<target>.+)")

_EXAMPLE = """\
A layer that is mapped goes under its new names only (map it to its own name as well to keep that); one that is not
keeps its name. Where several inputs have a layer, its number says which is meant. The start of a net of two branches:

  convert_caffemodel clean.caffemodel ntype.caffemodel joint.caffemodel --model joint_train_val.prototxt \\
      --map 1:conv1=conv1_clean 1:conv2=conv2_clean 2:conv1=conv1_ntype 2:conv2=conv2_ntype
"""


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    *inputs, output = args.files
    _check_output(output, inputs, args.force)
    net = read_net(os.fspath(args.model))[0] if args.model else None
    merged = merge_weights(inputs, args.map, net)
    if not merged.layers:
        raise WeightsError("nothing to write: no layer of the inputs is in the net", path=output)
    write_merged(output, merged, net.name if net else Path(output).stem)
    print("\n".join(_report(merged, args.model)))
    print(f"wrote {output}: {len(merged.layers)} layers")
    return DONE


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="convert_caffemodel",
        usage="%(prog)s [-h] IN [IN ...] OUT [--model NET] [--map [N:]SRC=DST ...] [--force]",
        description="Put the layers with parameters of one or more .caffemodel files, renamed, into one.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help=f"the {_SUFFIX} files to read, then the one to write")
    parser.add_argument("--model", metavar="NET", help="prototxt: keep only its layers, in its order, types checked")
    parser.add_argument(
        "--map",
        type=_rename,
        nargs="+",
        action="extend",
        default=[],
        metavar="[N:]SRC=DST",
        help="the new name of a layer (of input N, counted from 1); may be given again and again",
    )
    parser.add_argument("--force", action="store_true", help="overwrite OUT if it exists")
    args = parser.parse_args(argv)
    if len(args.files) < 2:
        parser.error("expected at least one input and the output, got one file")
    return args


def _rename(text: str) -> Rename:
    found = _MAP.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected SRC=DST or N:SRC=DST, got {text!r} (the files come before --map)")
    return Rename(found["source"], found["target"], int(found["input"]) if found["input"] else None)


def _check_output(output: str, inputs: Sequence[str], force: bool) -> None:
    if not output.endswith(_SUFFIX):
        raise WeightsError(f"expected a name that ends in {_SUFFIX}; other formats are not written", path=output)
    if any(os.path.exists(path) and os.path.exists(output) and os.path.samefile(path, output) for path in inputs):
        raise WeightsError("is an input: choose another name for the output", path=output)
    if os.path.exists(output) and not force:
        raise WeightsError("exists; --force overwrites it", path=output)


def _report(merged: Merged, model: str | None) -> list[str]:
    lines = [f"{_place(source)} -> {name} {_shapes(source)}" for name, source in merged.layers]
    lines += [f"{_place(source)} not copied" for source in merged.left_out]
    lines += [f"{model}: {name} is in no input, it starts from its fillers" for name in merged.not_given]
    return lines


def _place(source: Source) -> str:
    return f"{source.path}: {source.layer.name}"


def _shapes(source: Source) -> str:
    return ", ".join(shape_text(blob.array.shape) for blob in source.layer.blobs.values())
