"""Building the nets a solver trains and tests, with the weights it names."""

from __future__ import annotations

import logging

import torch

from caffe_compat.errors import WeightsError, expected_got
from caffe_compat.glog import shape_text
from caffe_compat.net import Net
from caffe_compat.proto.caffe_pb2 import SolverParameter
from caffe_compat.solver.descriptions import NetDescription, describe_test_nets, describe_train_net
from caffe_compat.solver.ranks import Ranks

log = logging.getLogger("caffe_compat")


def build_train_net(
    solver: SolverParameter,
    path: str | None,
    data_start: int,
    device: torch.device,
    ranks: Ranks,
    net_class: type[Net] = Net,
) -> Net:
    """The train net on ``device``, with the solver's ``weights`` in it.

    Its data are the share of this one of ``ranks``, from record ``data_start`` on.
    """
    described = describe_train_net(solver, path)
    log.info("Creating training net %s", _words(described))
    return _build(described, solver, data_start, device, ranks, net_class)


def build_test_nets(
    solver: SolverParameter, path: str | None, train_net: Net, device: torch.device, net_class: type[Net] = Net
) -> list[Net]:
    """The test nets. They share the parameters of the train net's layers of the same name."""
    nets = []
    for index, described in enumerate(describe_test_nets(solver, path)):
        log.info("Creating test net (#%d) specified by %s", index, described.source)
        nets.append(_build(described, solver, 0, device, Ranks(), net_class))
        nets[-1].debug_info = solver.debug_info
        share_parameters(train_net, nets[-1])
    return nets


def share_parameters(source: Net, target: Net) -> list[str]:
    """Let ``target``'s layers use the memory of ``source``'s parameters; returns the layers ``target`` does not have.

    Of several layers of ``source`` with one name each must fit the first of ``target``'s, and the last counts.

    Raises: WeightsError if two layers of one name differ in the number or shapes of their parameters.
    Source: Net::ShareTrainedLayersWith, src/caffe/net.cpp.
    """
    names, targets = [param.name for param in source.proto.layer], target.layers
    for name, layer in zip(names, source.layers_in_order, strict=True):
        if name not in targets:
            continue
        ours, theirs = layer.blobs, targets[name].blobs
        if len(ours) != len(theirs):
            problem = f"Incompatible number of blobs for layer {name}: {expected_got(len(theirs), len(ours))}"
            raise WeightsError(problem, layer=name)
        for index, (blob, other) in enumerate(zip(ours, theirs, strict=True)):
            if blob.shape != other.shape:
                raise WeightsError(
                    f"Cannot share param {index} weights from layer '{name}'; shape mismatch.  Source param shape is "
                    f"{shape_text(blob.shape)}; target param shape is {shape_text(other.shape)}",
                    layer=name,
                )
            other.data = blob.data
    return [name for name in names if name not in targets]


def weights_files(weights: str) -> list[str]:
    """The paths in a comma list, blanks around them removed."""
    return [part.strip() for part in weights.split(",") if part.strip()]


def load_weights(net: Net, weights: str) -> None:
    """Copy the parameters of each file of a comma list into the layers of the same name, later files winning."""
    for file in weights_files(weights):
        log.info("Finetuning from %s", file)
        net.load_weights(file)


def _build(
    described: NetDescription,
    solver: SolverParameter,
    data_start: int,
    device: torch.device,
    ranks: Ranks,
    net_class: type[Net],
) -> Net:
    seed = solver.random_seed if solver.random_seed >= 0 else ranks.seed
    phase = described.net.state.phase
    net = net_class(
        described.net, phase, level=None, path=described.path, seed=seed, data_start=data_start, share=ranks.share
    )
    net.to(device)
    for weights in solver.weights:
        load_weights(net, weights)
    return net


def _words(described: NetDescription) -> str:
    return f"from {described.source}" if described.path else f"specified in {described.source}."
