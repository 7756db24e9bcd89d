"""tools/convert_caffemodel.py: weights and means in another format; layers of several files, renamed, in one."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path

from caffe_compat.cli.common import DONE, Parser, command, refuse_existing
from caffe_compat.errors import WeightsError
from caffe_compat.glog import shape_text
from caffe_compat.prototxt import read_net
from caffe_compat.weights import files, means
from caffe_compat.weights.merging import Merged, Rename, Source, merge_weights, write_merged

_MAP = re.compile(r"(?:(?P<input>\d+):)?(?P<source>[^=]+)=(?P<target>.+)")

_EXAMPLE = """\
Formats go by the suffix: .caffemodel and .caffemodel.h5 are Caffe's, .pt a PyTorch state dict (read without running
code in it), .safetensors; means are .binaryproto or .npy, of shape (C, H, W). In .pt and .safetensors a layer of two
blobs has the entries <layer>.weight and <layer>.bias, any other <layer>.<index>, counted from 0. The numbers are
float32, and weights of old files get the shapes of today: fully connected ones (out, in).

  convert_caffemodel bvlc_reference_caffenet.caffemodel caffenet.pt
  convert_caffemodel ilsvrc_2012_mean.npy mean.binaryproto

A layer that is mapped goes under its new names only (map it to its own name as well to keep that); one that is not
keeps its name. Where several inputs have a layer, its number says which is meant. The start of a net of two branches:

  convert_caffemodel clean.caffemodel ntype.caffemodel joint.caffemodel --model joint_train_val.prototxt \\
      --map 1:conv1=conv1_clean 1:conv2=conv2_clean 2:conv1=conv1_ntype 2:conv2=conv2_ntype
"""


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    *inputs, output = args.files
    refuse_existing([output], args.force, inputs)
    if _is_mean(output):
        return _convert_mean(inputs, output)
    net = read_net(os.fspath(args.model))[0] if args.model else None
    merged = merge_weights(inputs, args.map, net)
    if not merged.layers:
        problem = "no layer of the inputs is in the net" if net else "no layer of the inputs has parameters"
        raise WeightsError(f"nothing to write: {problem}", path=output)
    write_merged(output, merged, net.name if net else Path(output).stem)
    print("\n".join(_report(merged, args.model)))
    print(f"wrote {output}: {len(merged.layers)} layers")
    return DONE


def _convert_mean(inputs: Sequence[str], output: str) -> int:
    mean = means.read_mean(inputs[0])
    means.write_mean(output, mean)
    print(f"wrote {output}: {shape_text(mean.shape)}")
    return DONE


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="convert_caffemodel",
        usage="%(prog)s [-h] IN [IN ...] OUT [--model NET] [--map [N:]SRC=DST ...] [--force]",
        description="Convert weights or a mean to another format, or put the layers of several files, renamed, in one.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="the files to read, then the one to write")
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
    *inputs, output = args.files
    if not inputs:
        parser.error("expected at least one input and the output, got one file")
    if any(map(_is_mean, args.files)):
        if not all(map(_is_mean, args.files)) or len(inputs) > 1:
            parser.error(f"expected one mean and where to write it, got {', '.join(args.files)}")
        if args.model or args.map:
            parser.error("a mean has no layers: --model and --map are for weights")
    elif not output.endswith(files.SUFFIXES):
        known = ", ".join(files.SUFFIXES + means.SUFFIXES)
        parser.error(f"{output}: expected a name that ends in one of {known}")
    return args


def _is_mean(path: str) -> bool:
    return path.endswith(means.SUFFIXES)


def _rename(text: str) -> Rename:
    found = _MAP.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected SRC=DST or N:SRC=DST, got {text!r} (the files come before --map)")
    return Rename(found["source"], found["target"], int(found["input"]) if found["input"] else None)


def _report(merged: Merged, model: str | None) -> list[str]:
    lines = [f"{_place(source)} -> {name} {_shapes(source)}" for name, source in merged.layers]
    lines += [f"{_place(source)} not copied" for source in merged.left_out]
    lines += [f"{model}: {name} is in no input, it starts from its fillers" for name in merged.not_given]
    return lines


def _place(source: Source) -> str:
    return f"{source.path}: {source.layer.name}"


def _shapes(source: Source) -> str:
    return ", ".join(shape_text(blob.array.shape) for blob in source.layer.blobs.values())
