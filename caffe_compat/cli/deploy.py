"""deploy: a trained net made ready to predict: OUT.prototxt and, beside it, its weights."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from typing import NamedTuple

from caffe_compat.cli.common import DONE, Parser, command, positive, refuse_existing
from caffe_compat.errors import PrototxtError, WeightsError
from caffe_compat.files import atomic_path
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt import filter_net, read_net, to_text
from caffe_compat.prototxt.deploy import prediction_net, read_from_outside, with_inputs
from caffe_compat.weights import read_caffemodel
from caffe_compat.weights.means import read_mean
from caffe_compat.weights.merging import merge_weights, write_merged

_SUFFIX = ".prototxt"


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    weights_out = args.out.removesuffix(_SUFFIX) + ".caffemodel"
    refuse_existing([args.out, weights_out], args.force, [args.net, args.weights])
    trained, _ = read_net(args.net)
    predicting = prediction_net(trained, args.net)
    source = _data_of(trained, predicting, args.net)
    image_shape = args.shape or _image_shape(args, source, predicting)
    shapes = {blob: (args.batch_size, *image_shape) for blob in read_from_outside(predicting)}
    deployed = with_inputs(predicting, shapes)
    merged = merge_weights([args.weights], net=deployed)
    if merged.not_given:
        raise WeightsError(f"has no weights for {', '.join(merged.not_given)}", path=args.weights)
    Net(deployed, "TEST", args.weights, path=args.out)  # what does not fit shows before anything is written
    with atomic_path(args.out) as part:
        part.write_text(to_text(deployed))
    write_merged(weights_out, merged, deployed.name)
    print(f"wrote {args.out}: {len(deployed.layer)} layers of {len(trained.layer)}")
    print(f"wrote {weights_out}: {len(merged.layers)} layers, {len(merged.left_out)} left out")
    if source is not None and len(image_shape) == 3:
        options = _options_of_classify(source.layer.transform_param, image_shape)
        print(
            f"classify with: tools/classify.py IMAGE --model_def {args.out} --pretrained_model {weights_out} {options}"
        )
    return DONE


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="deploy",
        description="Make a net for prediction of one for training: inputs for data layers, probabilities for losses, "
        "no labels, no noise types. Its weights go to the same name with .caffemodel.",
    )
    parser.add_argument("net", metavar="NET", help="the net's prototxt file, as it is trained and tested")
    parser.add_argument("weights", metavar="WEIGHTS", help="the trained weights")
    parser.add_argument("out", metavar="OUT", help=f"the file to write, *{_SUFFIX}")
    parser.add_argument("--shape", type=_shape, metavar="C,H,W",
                        help="channels, height and width of the input; found from the crop and the weights, or from "
                        "the data, if not given")  # fmt: skip
    parser.add_argument("--batch_size", type=positive, default=10, help="images in a batch of the new net")
    parser.add_argument("--force", action="store_true", help="overwrite what exists")
    args = parser.parse_args(argv)
    if not args.out.endswith(_SUFFIX):
        parser.error(f"OUT: expected a name that ends in {_SUFFIX}, got {args.out}")
    return args


def _shape(text: str) -> tuple[int, ...]:
    channels, height, width = (positive(part) for part in text.split(","))
    return channels, height, width


def _image_shape(
    args: argparse.Namespace, source: _Source | None, predicting: caffe_pb2.NetParameter
) -> tuple[int, ...]:
    """(C, H, W) from the data layer's crop and the first convolution's weights; else from the data themselves."""
    blob = read_from_outside(predicting)[0]
    if source is None:
        problem = f'no layer makes the blob "{blob}" in phase TEST or TRAIN: give its --shape'
        raise PrototxtError(problem, path=args.net)
    crop = source.layer.transform_param.crop_size
    weights = read_caffemodel(args.weights)
    for layer in predicting.layer:
        if crop and layer.type == "Convolution" and list(layer.bottom) == [blob] and layer.name in weights:
            return weights[layer.name][0].shape[1] * layer.convolution_param.group, crop, crop
    return tuple(Net(args.net, source.phase).blob_shapes[blob][1:])


def _options_of_classify(transform: caffe_pb2.TransformationParameter, image_shape: Sequence[int]) -> str:
    """Mean, scale and size that the net was trained with, which are no part of the new net."""
    size, options = tuple(image_shape[1:]), []
    if transform.mean_file:
        options = [f"--mean_file {transform.mean_file}"]
        with contextlib.suppress(WeightsError, FileNotFoundError):
            size = read_mean(transform.mean_file).shape[-2:]  # that of the images before they are cropped
    elif transform.mean_value:
        options = [f"--mean_file M.npy (with {', '.join(f'{value:g}' for value in transform.mean_value)} in it)"]
    if transform.scale != 1:
        options.append(f"--input_scale {transform.scale:g}")
    return " ".join([*options, f"--images_dim {','.join(map(str, size))}"])


class _Source(NamedTuple):
    """The layer that makes what the new net reads, and the phase in which it does."""

    phase: str
    layer: caffe_pb2.LayerParameter


def _data_of(trained: caffe_pb2.NetParameter, predicting: caffe_pb2.NetParameter, path: str) -> _Source | None:
    """TEST before TRAIN; None where no layer makes it."""
    blob = read_from_outside(predicting)[0]
    for phase in ("TEST", "TRAIN"):
        state = caffe_pb2.NetState(phase=phase)
        for layer in filter_net(trained, state, path).layer:
            if blob in layer.top:
                return _Source(phase, layer)
    return None
