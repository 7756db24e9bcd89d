"""classify: what a trained net says of images. Source: python/classify.py."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from caffe_compat.cli.common import DONE, Parser, command
from caffe_compat.datasets.class_names import read_names
from caffe_compat.evaluation.classification import Classifier, Preprocessing, read_images
from caffe_compat.files import atomic_path
from caffe_compat.net import Net
from caffe_compat.solver.device import gpus_of_flag
from caffe_compat.weights.means import read_mean

_TOP = 5


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    device = torch.device("cuda", gpus_of_flag("0")[0]) if args.gpu else torch.device("cpu")
    net = Net(args.model_def, "TEST", args.pretrained_model).to(device)
    channels = net.blob_shapes[net.inputs[0]][1] if net.inputs else 3
    how = Preprocessing(
        image_dims=args.images_dim,
        channel_swap=args.channel_swap if args.channel_swap or channels != 3 else (2, 1, 0),
        raw_scale=args.raw_scale,
        mean=read_mean(args.mean_file) if args.mean_file else None,
        input_scale=args.input_scale,
        mean_file=args.mean_file,
    )
    classifier = Classifier(net, how, args.model_def)
    names, images = read_images(args.input_file, args.ext, classifier.channels)
    print(f"Classifying {len(images)} inputs.")
    start = time.perf_counter()
    predictions = classifier.predict(images, oversample=not args.center_only)
    print(f"Done in {time.perf_counter() - start:.2f} s.")
    if args.print_results or not args.output_file:
        classes = predictions.shape[1]
        labels = read_names(args.labels_file, classes) if args.labels_file else [""] * classes
        print("\n".join(_report(names, predictions, labels)))
    if args.output_file:
        print(f"Saving results into {args.output_file}")
        with atomic_path(args.output_file) as part, open(part, "wb") as file:
            np.save(file, predictions)
    return DONE


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(prog="classify", description="Classify images with a deploy net.")
    parser.add_argument(
        "input_file", help="an image, a folder of images, or a .npy of images (N, H, W, K), RGB in [0, 1]"
    )
    parser.add_argument(
        "output_file", nargs="?", help="the .npy to write, (N, classes); without it the best are printed"
    )
    parser.add_argument("--model_def", required=True, help="the deploy net's prototxt file")
    parser.add_argument("--pretrained_model", required=True, help="the trained weights")
    parser.add_argument("--gpu", action="store_true", help="use a GPU")
    parser.add_argument("--center_only", action="store_true", help="the centre crop only, not the mean over ten crops")
    parser.add_argument("--images_dim", type=_height_and_width, default=(256, 256), metavar="HEIGHT,WIDTH",
                        help="the size images are resized to before they are cropped")  # fmt: skip
    parser.add_argument("--mean_file", help="the mean to subtract, .npy or .binaryproto; without it none")
    parser.add_argument("--input_scale", type=float, default=1.0, help="multiplies what is left after the mean")
    parser.add_argument(
        "--raw_scale", type=float, default=255.0, help="multiplies pixels, from 0 to 1, before the mean"
    )
    parser.add_argument("--channel_swap", type=_numbers, metavar="ORDER",
                        help="the channels in the net's order; 2,1,0 (BGR) if not given, for three")  # fmt: skip
    parser.add_argument("--ext", default="jpg", help="the ending of the files to take from a folder")
    parser.add_argument("--labels_file", help="the names of the classes, one a line")
    parser.add_argument("--print_results", action="store_true", help=f"print the {_TOP} best of each image")
    return parser.parse_args(argv)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"expected whole numbers between commas, got {text}") from exc


def _height_and_width(text: str) -> tuple[int, int]:
    numbers = _numbers(text)
    if len(numbers) != 2:
        raise argparse.ArgumentTypeError(f"expected HEIGHT,WIDTH, got {text}")
    return numbers[0], numbers[1]


def _report(names: Sequence[str], predictions: np.ndarray, labels: Sequence[str]) -> Iterator[str]:
    for name, scores in zip(names, predictions, strict=True):
        yield f"---------- Prediction for {name} ----------"
        for index in np.argsort(-scores, kind="stable")[:_TOP]:
            yield f"{scores[index]:.4f} {index} {labels[index]}".rstrip()
