"""draw_net: a picture of a net. Source: python/draw_net.py."""

from __future__ import annotations

from collections.abc import Sequence

from caffe_compat.cli.common import DONE, Parser, command
from caffe_compat.drawing import draw, to_dot
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt import filter_net, read_net


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(prog="draw_net", description="Draw the graph of a net: its layers, and the blobs between them.")
    parser.add_argument("input_net_proto_file", metavar="NET", help="the net's prototxt file")
    parser.add_argument("output_image_file", metavar="OUT", help="the picture to write: .png, .svg, .pdf or .dot")
    parser.add_argument("--rankdir", choices=["TB", "LR", "BT", "RL"], default="LR", help="where the data flow to")
    parser.add_argument("--phase", choices=["TRAIN", "TEST", "ALL"], default="ALL", help="whose layers are drawn")
    parser.add_argument("--display_lrm", action="store_true", help="show the learning rate multipliers")
    args = parser.parse_args(argv)

    net, path = read_net(args.input_net_proto_file)
    if args.phase != "ALL":
        net = filter_net(net, caffe_pb2.NetState(phase=args.phase), path)
    dot = to_dot(net, args.rankdir, args.display_lrm, display_phases=args.phase == "ALL")
    draw(dot, args.output_image_file)
    print(f"Drawing net to {args.output_image_file}")
    return DONE
