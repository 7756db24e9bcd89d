"""A net that is run one layer at a time on blobs that stay, each layer with a backward pass of its own.

Source: ForwardFromTo and BackwardFromTo, src/caffe/net.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from caffe_compat.layers import Layer
from caffe_compat.layers.shapes import Shape
from caffe_compat.net import Net
from caffe_compat.net.builder import AUTOMATIC_TOP
from caffe_compat.net.debug import log_layer
from caffe_compat.net.graph import Node
from caffe_compat.pycaffe.blob import NetBlob, ParameterBlob

Callback = Callable[[int], Any]


@dataclass
class _Pass:
    """What the last forward pass of a layer was given and made, with autograd's graph in between."""

    bottoms: Sequence[Tensor]
    tops: Sequence[Tensor]


class LayerwiseNet(Net):
    """The same layers as in ``caffe_compat.Net``, between blobs whose memory stays.

    A layer's bottoms are leaves of autograd, so its graph ends at them: the backward pass reads the tops' ``diff`` and
    writes the bottoms', and what is written into a blob from outside counts.

    Attributes:
        net_blobs: name -> blob, in the order in which the layers make them.
        layer_blobs: the parameter blobs of each of ``layers_in_order``.
        before_forward, after_forward, before_backward, after_backward: called with the number of each layer run.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for parameter in self.parameters():  # a view in another order would be copied by a user's reshape(-1)
            parameter.data = parameter.data.contiguous()
        self.net_blobs: dict[str, NetBlob] = {}
        self._bottoms: list[list[NetBlob]] = []
        self._tops: list[list[NetBlob]] = []
        for node in self._nodes:
            self._bottoms.append([self.net_blobs[name] for name in node.bottoms])
            self._tops.append([self._make_top(node, index) for index in range(len(node.tops))])
        known: dict[tuple[Tensor, Shape], ParameterBlob] = {}  # one blob for a parameter that layers share
        self.layer_blobs = [
            [known.setdefault(key, ParameterBlob(*key)) for key in _parameters(node.layer)] for node in self._nodes
        ]
        self._parameters_in_use = list(known.values())
        self._passes: dict[int, _Pass] = {}
        self.before_forward: list[Callback] = []
        self.after_forward: list[Callback] = []
        self.before_backward: list[Callback] = []
        self.after_backward: list[Callback] = []

    def _make_top(self, node: Node, index: int) -> NetBlob:
        name = node.tops[index]
        if name in node.bottoms:
            return self.net_blobs[name]
        shape = () if name == AUTOMATIC_TOP else self.blob_shapes[name]
        source = self.net_blobs[node.bottoms[0]] if node.layer.param.type == "Split" else None
        blob = NetBlob(shape, self._like, node.loss_weights[index], source)
        self.net_blobs[name] = blob
        return blob

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> LayerwiseNet:
        """Blobs follow ``.to()`` and ``.double()``, as parameters do; graphs of passes before are dropped."""
        for parameter in self._parameters_in_use:
            parameter.write_back()
        super()._apply(fn, recurse)
        for blob in {id(blob): blob for tops in self._tops for blob in tops}.values():
            blob.move(fn)
        self._passes.clear()
        return self

    # --- running --------------------------------------------------------------------------------------------

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        """As ``Net``'s, on the blobs that stay: the tensors are their memory and have no graph."""
        self._check_inputs(inputs)
        for name, values in inputs.items():
            self.net_blobs[name].put("data", values)
        return self.forward_unfed()

    def forward_unfed(self) -> dict[str, Tensor]:
        """The same with what is in the blobs of ``inputs``: zeros, until something is put there."""
        self.run_forward(0, len(self._nodes) - 1)
        self.blobs = {name: blob.data_tensor() for name, blob in self.net_blobs.items()}
        return {name: self.blobs[name] for name in self.outputs}

    def run_forward(self, first: int, last: int) -> Tensor:
        """Run layers ``first`` to ``last``; returns (and keeps in ``loss``) the weighted sum of their losses."""
        self.write_back_parameters()
        losses: list[Tensor] = []
        for index in range(first, last + 1):
            _call(self.before_forward, index)
            losses += self._forward_layer(index)
            _call(self.after_forward, index)
        self.loss = torch.stack(losses).sum() if losses else self._like.new_zeros(())
        return self.loss

    def run_backward(self, first: int, last: int = 0) -> None:
        """Run the backward pass of layers ``first`` down to ``last``, of those that need one.

        Raises: RuntimeError if one of them has not run forward.
        """
        self.write_back_parameters()
        for index in range(first, last - 1, -1):
            _call(self.before_backward, index)
            if self._nodes[index].runs_backward:
                self._backward_layer(index)
            _call(self.after_backward, index)

    def reshape(self) -> None:
        """Give every blob the shape that follows from the input blobs' shapes.

        Raises: PrototxtError naming the layer that cannot work on its new bottoms.
        """
        for node, bottoms, tops in zip(self._nodes, self._bottoms, self._tops, strict=True):
            if node.layer.is_data or node.layer.param.type == "Input":
                continue
            shapes = node.layer.top_shapes([blob.shape for blob in bottoms])
            for blob, shape in zip(tops, shapes, strict=True):
                blob.reshape(*shape)

    # --- one layer ------------------------------------------------------------------------------------------

    def _forward_layer(self, index: int) -> list[Tensor]:
        """Run one layer and return its parts of the loss."""
        node = self._nodes[index]
        if node.layer.param.type == "Input":
            return []
        bottoms = [self._leaf(node, blob, position) for position, blob in enumerate(self._bottoms[index])]
        with torch.set_grad_enabled(node.runs_backward and torch.is_grad_enabled()):
            try:
                tops = node.layer(*bottoms)
            except RuntimeError as exc:
                exc.add_note(f'in layer "{node.name}" ({node.layer.param.type})')
                raise
            if self.debug_info:
                log_layer(node, tops, bottoms)
        self._passes[index] = _Pass(bottoms, tops)
        for blob, top in zip(self._tops[index], tops, strict=True):
            if blob.source is None:
                blob.put("data", top.detach())
            else:
                blob.reshape(*top.shape)
        return [_loss(blob) for blob, weight in zip(self._tops[index], node.loss_weights, strict=True) if weight]

    def _backward_layer(self, index: int) -> None:
        node = self._nodes[index]
        if index not in self._passes:
            raise RuntimeError(f'layer "{node.name}" ({node.layer.param.type}) has not run forward yet')
        done = self._passes[index]
        tops = [pair for pair in zip(done.tops, self._tops[index], strict=True) if pair[0].requires_grad]
        bottoms = [pair for pair in zip(done.bottoms, self._bottoms[index], strict=True) if pair[0].requires_grad]
        parameters = [blob for blob in self.layer_blobs[index] if blob.parameter.requires_grad]
        gradients = _gradients(
            [(top, blob.diff_tensor()) for top, blob in tops],
            [leaf for leaf, _ in bottoms] + [blob.parameter for blob in parameters],
        )
        for (_, blob), gradient in zip(bottoms, gradients[: len(bottoms)], strict=True):
            blob.put("diff", gradient)
        for parameter, gradient in zip(parameters, gradients[len(bottoms) :], strict=True):
            parameter.diff_tensor().add_(gradient.view(parameter.shape))

    def _leaf(self, node: Node, blob: NetBlob, position: int) -> Tensor:
        """A bottom for the layer: the blob's memory itself, or a copy where the layer's top is written over it."""
        memory = blob.data_tensor()
        leaf = memory.clone() if node.bottoms[position] in node.tops else memory.detach()
        return leaf.requires_grad_(node.propagates[position])

    def write_back_parameters(self) -> None:
        """Bring what was written into copies of parameters to the GPU."""
        for parameter in self._parameters_in_use:
            parameter.write_back()


def move_together(nets: Iterable[LayerwiseNet], change: Callable[[Tensor], Tensor]) -> None:
    """Apply ``change``, to another device or type, to nets; parameters that share memory do so afterwards too."""
    moved: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def move(tensor: Tensor) -> Tensor:
        if not tensor.numel():
            return change(tensor)
        key = tensor.data_ptr(), tensor.numel()
        if key not in moved:  # the old memory is kept, so that its address is given to no other
            moved[key] = tensor.detach(), change(tensor)
        return moved[key][1].view(tensor.shape)

    for net in nets:
        net._apply(move)


def _parameters(layer: Layer) -> list[tuple[nn.Parameter, Shape]]:
    """Each parameter and the shape that the layer gives it."""
    return [(blob, tuple(layer.blob(index).shape)) for index, blob in enumerate(layer.blobs)]


def _loss(blob: NetBlob) -> Tensor:
    """A top's part of the loss: its numbers weighted by its ``diff``, where Caffe keeps the loss weight."""
    return (blob.data_tensor() * blob.diff_tensor()).sum()


def _gradients(made: Sequence[tuple[Tensor, Tensor]], leaves: Sequence[Tensor]) -> list[Tensor]:
    """The gradients of ``leaves``, zeros where none comes, from the tops and theirs."""
    found: Sequence[Tensor | None] = [None] * len(leaves)
    if made and leaves:
        tops, diffs = zip(*made, strict=True)
        found = torch.autograd.grad(tops, leaves, diffs, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(leaf) if one is None else one for leaf, one in zip(leaves, found, strict=True)]


def _call(callbacks: Sequence[Callback], index: int) -> None:
    for callback in callbacks:
        callback(index)
