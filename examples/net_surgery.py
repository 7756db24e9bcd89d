#!/usr/bin/env python3
"""Net surgery: the fully connected layers of a classifier become convolutions, and the net takes images of any size.

A fully connected layer over a C x H x W blob computes what a convolution with an H x W kernel computes where the kernel
covers the blob; on a larger image the convolution goes on to every other place. So the new net is the old one slid
over the image, and gives a map of class probabilities. Nothing is trained: the same numbers get another shape.

    python examples/net_surgery.py prototxt/bvlc_reference_caffenet/deploy.prototxt caffenet.caffemodel 451 \\
        caffenet_conv.prototxt caffenet_conv.caffemodel

makes of CaffeNet one whose output at 451 x 451 is an 8 x 8 map.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from caffe_compat import Net
from caffe_compat.proto.caffe_pb2 import NetParameter
from caffe_compat.prototxt import read_net, to_text


def fully_convolutional(message: NetParameter, net: Net, size: int) -> NetParameter:
    """The description ``message`` of ``net`` with convolutions for its InnerProduct layers, for images of this size.

    The layers that change get new names, ``fc6`` becomes ``fc6-conv``: nobody shall copy the old weights into them.
    """
    changed = NetParameter()
    changed.CopyFrom(message)
    for layer in changed.layer:
        if layer.type == "Input":
            layer.input_param.shape[0].dim[2:] = [size, size]
        if layer.type == "InnerProduct":
            height, width = (*net.blob_shapes[layer.bottom[0]][2:], 1, 1)[:2]
            old = layer.inner_product_param
            if old.axis != 1 or old.transpose:
                raise SystemExit(f"layer {layer.name}: axis and transpose are not for this example")
            convolution = layer.convolution_param
            convolution.num_output, convolution.bias_term = old.num_output, old.bias_term
            convolution.kernel_h, convolution.kernel_w = height, width
            layer.ClearField("inner_product_param")
            layer.type, layer.name = "Convolution", f"{layer.name}-conv"
    return changed


def transplant(source: Net, target: Net) -> None:
    """Copy the parameters: those of unchanged layers as they are, those of the others in their new shape."""
    with torch.no_grad():
        for name, blobs in source.params.items():
            for old, new in zip(blobs, target.params.get(name) or target.params[f"{name}-conv"], strict=True):
                new.copy_(old.view(new.shape))  # (out, C * H * W) is (out, C, H, W), the last index running fastest


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="the classifier's deploy prototxt")
    parser.add_argument("weights", help="its weights")
    parser.add_argument("size", type=int, help="height and width of the images to come")
    parser.add_argument("new_model", help="where the new prototxt goes")
    parser.add_argument("new_weights", help="where the new weights go")
    args = parser.parse_args(argv)
    message, _ = read_net(args.model)
    net = Net(message, weights=args.weights)
    changed = fully_convolutional(message, net, args.size)
    new_net = Net(changed)
    transplant(net, new_net)
    Path(args.new_model).write_text(to_text(changed))
    new_net.save_weights(args.new_weights)
    for name in new_net.outputs:
        print(f"{name}: {tuple(net.blob_shapes[name])} -> {tuple(new_net.blob_shapes[name])}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
