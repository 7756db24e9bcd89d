"""A built net as data: its layers in order, each wired to blobs by name."""

from __future__ import annotations

from dataclasses import dataclass, field

from caffe_compat.layers.base import Layer
from caffe_compat.layers.shapes import Shape
from caffe_compat.net.sharing import LearnableParam


@dataclass
class Node:
    """One layer in its place.

    Attributes:
        name, layer: the layer.
        bottoms, tops: blob names, in the layer's order.
        loss_weights: one per top; 0: no part of the loss.
        learns: whether Caffe takes the layer for one that learns (see ``backward.py``).
        detached: per bottom, whether the gradient stops there (``propagate_down: false``, labels).
        forced: per bottom, whether it gets a gradient though nothing before it needs one.
        overwrites: whether the layer may write its top over its bottom's memory.
        runs_backward: whether Caffe runs the layer's backward pass.
        propagates: per bottom, whether that backward pass writes its gradient.
    """

    name: str
    layer: Layer
    bottoms: list[str]
    tops: list[str]
    loss_weights: list[float]
    learns: bool = False
    detached: list[bool] = field(default_factory=list)
    forced: list[bool] = field(default_factory=list)
    overwrites: bool = False
    runs_backward: bool = False
    propagates: list[bool] = field(default_factory=list)


@dataclass
class Graph:
    """A built net: its layers in order, and what they make."""

    nodes: list[Node]
    shapes: dict[str, Shape]
    inputs: list[str]
    outputs: list[str]
    learnable_params: list[LearnableParam]
