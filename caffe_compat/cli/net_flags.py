"""The flags of the commands that build a net: which GPU, level and stages."""

from __future__ import annotations

import argparse
import logging

import torch

from caffe_compat.net import Net
from caffe_compat.solver.device import device_of_flag

log = logging.getLogger("caffe_compat")


def add_net_flags(
    parser: argparse.ArgumentParser,
    gpu_help: str = "number of the GPU to use (of several the first); without it the CPU",
) -> None:
    parser.add_argument("--gpu", default="", help=gpu_help)
    parser.add_argument("--level", type=int, default=0, help="the net's level")
    parser.add_argument("--stage", default="", help="the net's stages, separated by ','")


def device_of_flags(args: argparse.Namespace) -> torch.device:
    """The device of ``--gpu``, which is logged as Caffe does."""
    device = device_of_flag(args.gpu)
    if device.type == "cpu":
        log.info("Use CPU.")
    else:
        log.info("Use GPU with device ID %d", device.index)
        log.info("GPU device name: %s", torch.cuda.get_device_name(device))
    return device


def build_net(args: argparse.Namespace, phase: str, device: torch.device) -> Net:
    """The net of ``--model`` on ``device``. An empty stage is added when none is given, as Caffe's tool does."""
    return Net(args.model, phase, level=args.level, stages=args.stage.split(",")).to(device)
