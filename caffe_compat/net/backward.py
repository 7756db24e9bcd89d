"""Where gradients flow: Caffe's plan of the backward pass. Source: the middle of Net::Init, src/caffe/net.cpp.

autograd finds most of this by itself; what it cannot know is which bottoms the net description cuts off or forces.
The rest is for the log, for errors at build time, and for the pycaffe face, which runs layer by layer.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from caffe_compat.net.graph import Node
from caffe_compat.proto import caffe_pb2

logger = logging.getLogger("caffe_compat")


def takes_for_learning(written: caffe_pb2.LayerParameter, num_blobs: int) -> bool:
    """Whether a layer has a blob whose lr_mult is not 0 by the net's text, where 1 stands for what is not written.

    The net's text, not what the layer makes of it: a BatchNorm layer gives its blobs lr_mult 0 in a message of its own,
    which Caffe does not look at here. So its backward pass runs, and that of all that follows, though nothing learns.
    """
    return len(written.param) < num_blobs or any(spec.lr_mult != 0 for spec in written.param)


def plan_backward(nodes: Sequence[Node], force_backward: bool) -> None:
    """Fill in what each node has on the backward pass, and log which layers need backward computation.

    Raises: PrototxtError for ``propagate_down: true`` on a label.
    """
    wanted, needs_backward = _what_needs_gradient(nodes)
    for node, needs in zip(nodes, needs_backward, strict=True):
        given = list(node.layer.param.propagate_down) or [True] * len(node.bottoms)
        labels = node.layer.label_bottoms
        for index in labels:
            if node.layer.is_loss and node.layer.param.propagate_down and given[index]:
                problem = f"{node.layer.param.type} Layer cannot backpropagate to label inputs."
                raise node.layer.error(problem, field="propagate_down")
        # force_backward wins over propagate_down: false, as in Caffe
        node.detached = [index in labels or not (down or force_backward) for index, down in enumerate(given)]
        is_forced = force_backward or (needs and bool(node.layer.param.propagate_down))
        node.forced = [is_forced and not cut for cut in node.detached]
    _plan_layers(nodes, wanted, needs_backward)
    if force_backward:
        _force_layers(nodes)


def _what_needs_gradient(nodes: Sequence[Node]) -> tuple[list[list[bool]], list[bool]]:
    """Per node and bottom, whether something before it learns or ``propagate_down`` says so; and per node, whether
    it or something before it learns: where neither does, Caffe does not run its backward, whatever is forced.
    """
    needs_gradient: dict[str, bool] = {}
    wanted, needs_backward = [], []
    for node in nodes:
        given = list(node.layer.param.propagate_down)
        wanted.append(given or [needs_gradient[name] for name in node.bottoms])
        needs = node.learns or any(needs_gradient[name] for name in node.bottoms)
        needs_backward.append(needs)
        for name in node.tops:
            needs_gradient[name] = needs or needs_gradient.get(name, False)
    return wanted, needs_backward


def _plan_layers(nodes: Sequence[Node], wanted: Sequence[Sequence[bool]], needs_backward: Sequence[bool]) -> None:
    """Set ``runs_backward`` and ``propagates``: go backwards, as Caffe does, from what the loss depends on."""
    under_loss: set[str] = set()
    cut: set[str] = set()
    plan = zip(reversed(nodes), reversed(wanted), reversed(needs_backward), strict=True)
    for node, needs, is_needed in plan:
        contributes = any(node.loss_weights) or not under_loss.isdisjoint(node.tops)
        is_cut = all(name in cut for name in node.tops)
        works = contributes and not is_cut and is_needed
        logger.info("%s %s backward computation.", node.name, "needs" if works else "does not need")
        node.runs_backward = works
        node.propagates = [works and need and not off for need, off in zip(needs, node.detached, strict=True)]
        for name, need in zip(node.bottoms, needs, strict=True):
            if contributes:
                under_loss.add(name)
            if not (contributes and need and not is_cut):
                cut.add(name)


def _force_layers(nodes: Sequence[Node]) -> None:
    """``force_backward: true``: every layer with something to give a gradient to, and all bottoms that take one."""
    for node in nodes:
        node.runs_backward = bool(node.bottoms or node.layer.blobs)
        node.propagates = [not off for off in node.detached]
