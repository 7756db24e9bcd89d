"""Nets of a few parameters over arrays in memory, small enough to work out by hand."""

from __future__ import annotations

import numpy as np

from caffe_compat.net import Net
from caffe_compat.proto.caffe_pb2 import NetParameter, SolverParameter
from caffe_compat.prototxt import parse_text
from caffe_compat.solver import Solver

BATCH_SIZE, NUM_FEATURES = 4, 3

# loss = 1/(2N) sum (w x + b - target)^2, of layers that every net has
LEAST_SQUARES = f"""
    name: "least_squares"
    layer {{ name: "x" type: "MemoryData" top: "x" top: "x_label"
            memory_data_param {{ batch_size: {BATCH_SIZE} channels: {NUM_FEATURES} height: 1 width: 1 }} }}
    layer {{ name: "target" type: "MemoryData" top: "target" top: "target_label"
            memory_data_param {{ batch_size: {BATCH_SIZE} channels: 1 height: 1 width: 1 }} }}
    layer {{ name: "flat" type: "InnerProduct" bottom: "target" top: "flat" param {{ lr_mult: 0 }}
            inner_product_param {{ num_output: 1 bias_term: false weight_filler {{ value: 1 }} }} }}
    layer {{ name: "ip" type: "InnerProduct" bottom: "x" top: "ip"
            param {{ lr_mult: 1 decay_mult: 1 }} param {{ lr_mult: 2 decay_mult: 0 }}
            inner_product_param {{ num_output: 1 weight_filler {{ type: "gaussian" std: 1 }} }} }}
    layer {{ name: "error" type: "Eltwise" bottom: "ip" bottom: "flat" top: "error"
            eltwise_param {{ coeff: 1 coeff: -1 }} }}
    layer {{ name: "square" type: "Eltwise" bottom: "error" bottom: "error" top: "square"
            loss_weight: {0.5 / BATCH_SIZE} eltwise_param {{ operation: PROD }} }}
    layer {{ name: "silence" type: "Silence" bottom: "x_label" bottom: "target_label" }}
"""

CLASSIFIER = f"""
    name: "classifier"
    layer {{ name: "x" type: "MemoryData" top: "x" top: "label"
            memory_data_param {{ batch_size: {BATCH_SIZE} channels: {NUM_FEATURES} height: 1 width: 1 }} }}
    layer {{ name: "ip" type: "InnerProduct" bottom: "x" top: "ip"
            inner_product_param {{ num_output: 3 weight_filler {{ type: "gaussian" std: 1 }} }} }}
    layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" include {{ phase: TRAIN }} }}
    layer {{ name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include {{ phase: TEST }} }}
"""


def make_solver(options: str, net: str = LEAST_SQUARES, num_batches: int = 6, **keywords: int) -> Solver:
    """A solver of ``net`` with ``options``, fed with ``num_batches`` batches of fixed random numbers."""
    param = parse_text('base_lr: 0.1 lr_policy: "fixed" random_seed: 3 snapshot_after_train: false', SolverParameter())
    param.MergeFrom(parse_text(options, SolverParameter()))
    param.net_param.CopyFrom(parse_text(net, NetParameter()))
    solver = Solver(param, **keywords)
    for fed in [solver.net, *solver.test_nets]:
        feed(fed, num_batches)
    return solver


def feed(net: Net, num_batches: int, first: int = 0) -> None:
    """Give the MemoryData layers batches ``first`` to ``num_batches`` - 1."""
    x, target, labels = arrays(num_batches)
    rows = slice(first * BATCH_SIZE, None)
    net.layers["x"].set_input_arrays(x[rows], labels[rows])
    if "target" in net.layers:
        net.layers["target"].set_input_arrays(target[rows], labels[rows])


def arrays(num_batches: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x (N, 3, 1, 1), target (N, 1, 1, 1), labels (N,) in [0, 3)."""
    random, rows = np.random.RandomState(0), num_batches * BATCH_SIZE
    x = random.randn(rows, NUM_FEATURES, 1, 1).astype(np.float32)
    return x, random.randn(rows, 1, 1, 1).astype(np.float32), random.randint(0, 3, rows).astype(np.float32)


def weights(solver: Solver) -> list[np.ndarray]:
    """Copies of weight and bias of layer "ip"."""
    return [blob.detach().numpy().copy() for blob in solver.net.params["ip"]]
