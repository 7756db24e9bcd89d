"""The net: layers wired by blob name, built from a prototxt, run by torch."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor, nn

from caffe_compat.data.group import check_databases
from caffe_compat.data.reading_order import ALL_RECORDS, Share
from caffe_compat.layers import BuildContext, Layer
from caffe_compat.layers.data import DataLayer
from caffe_compat.net.builder import AUTOMATIC_TOP, build_graph
from caffe_compat.net.debug import log_layer
from caffe_compat.net.graph import Node
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt import filter_net, insert_splits, read_net, to_text
from caffe_compat.prototxt.reading import NetSource
from caffe_compat.weights import copy_weights, save_weights

logger = logging.getLogger("caffe_compat")

PathLike = str | os.PathLike[str]


class Net(nn.Module):
    """A Caffe net.

    Args:
        source: a prototxt's path or text, or a NetParameter (copied).
        phase: "TRAIN" or "TEST" (or Caffe's number), fixed for good: it picks the layers. The module starts in
            training mode or not accordingly; ``.train()`` and ``.eval()`` only switch dropout (and its like).
        weights: a weights file to copy by layer name.
        level, stages: what ``include`` and ``exclude`` rules see besides the phase. Level None keeps the message's.
        path: the file a message or text came from, for errors.
        seed: seeds the crops, mirrors and reading orders of data layers; None draws one from torch's generator.
        data_start: the record at which TRAIN data layers start.
        share: which records TRAIN data layers read from there on, where several solvers train the net together.

    Attributes:
        layers: name -> layer, in order.  blobs: name -> tensor of the last forward (with its graph).
        loss: the weighted sum of all losses of the last forward, a scalar.
        inputs: tops of Input layers.  outputs: blobs that no layer reads, in alphabetical order.
        blob_shapes: name -> shape the net was built for.  blob_loss_weights: name -> loss weight.
        learnable_params: the parameter blobs, owners only, in Caffe's order.
        debug_info: log the mean magnitude of every blob and gradient, as the prototxt's field of that name.
        proto: the NetParameter as built: upgraded, filtered, with Split layers.

    Raises: CaffeCompatError naming file, layer and field.
    """

    layer: nn.ModuleDict
    _like: Tensor

    def __init__(
        self,
        source: NetSource,
        phase: str | int = "TEST",
        weights: PathLike | None = None,
        level: int | None = 0,
        stages: Sequence[str] = (),
        *,
        path: str | None = None,
        seed: int | None = None,
        data_start: int = 0,
        share: Share = ALL_RECORDS,
    ) -> None:
        super().__init__()
        message, file = read_net(source)
        path = file or path
        self.phase = _phase_number(phase)
        filtered = filter_net(message, _state(message.state, self.phase, level, stages), path)
        logger.info("Initializing net from parameters: \n%s", to_text(filtered).rstrip())
        self.proto: caffe_pb2.NetParameter = insert_splits(filtered, path)
        self.name: str = self.proto.name
        if seed is None:
            seed = int(torch.randint(2**62, ()))
        graph = build_graph(self.proto, BuildContext(path, self.phase, seed, data_start, share))
        self._nodes = graph.nodes
        self.layer = _module_dict(graph.nodes)
        self.inputs, self.outputs, self.blob_shapes = graph.inputs, graph.outputs, graph.shapes
        self.learnable_params = graph.learnable_params
        self.debug_info = self.proto.debug_info
        self.blob_loss_weights = _blob_loss_weights(graph.nodes)
        self.blobs: dict[str, Tensor] = {}
        self.loss: Tensor = torch.zeros(())
        self.register_buffer("_like", torch.empty(0), persistent=False)  # follows .to() and .double()
        self._check_databases(path)
        self.train(self.phase == caffe_pb2.TRAIN)
        logger.info("Network initialization done.")
        if weights is not None:
            self.load_weights(weights)

    # --- parts ----------------------------------------------------------------------------------------------

    @property
    def layers(self) -> Mapping[str, Layer]:
        """Layers by name, in order; of several with one name the first, which is the one weights go to."""
        found: dict[str, Layer] = {}
        for node in self._nodes:
            found.setdefault(node.name, node.layer)
        return MappingProxyType(found)

    @property
    def layers_in_order(self) -> list[Layer]:
        """All layers, one for each of ``proto.layer``, those whose name an earlier one has too."""
        return [node.layer for node in self._nodes]

    @property
    def all_learn(self) -> bool:
        """Whether the net's text says that the loss depends on every parameter that learns.

        Never so of a net with ``force_backward``, which lets all parameters take gradients, or with Python layers.
        """
        if self.proto.force_backward or any(param.type == "Python" for param in self.proto.layer):
            return False
        learning = (node for node in self._nodes if any(blob.requires_grad for blob in node.layer.blobs))
        return all(node.runs_backward for node in learning)

    @property
    def params(self) -> dict[str, list[Tensor]]:
        """Parameter blobs by layer, in Caffe's order and shape; layers without any are left out."""
        return {name: layer.shaped_blobs() for name, layer in self.layers.items() if len(layer.blobs)}

    def load_weights(self, path: PathLike) -> None:
        """Copy a weights file (binary, HDF5, ``.pt``, ``.safetensors``) into the layers of the same name.

        Raises: WeightsError.
        """
        copy_weights(self, path)

    def save_weights(self, path: PathLike) -> None:
        """Write a ``.caffemodel``; in HDF5 if the name ends in ``.h5``. Raises: WeightsError."""
        save_weights(self, path)

    # --- running --------------------------------------------------------------------------------------------

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        """Run all layers; one keyword per blob of ``inputs``.

        Returns the output blobs; ``blobs`` and ``loss`` change with every call, and what the last call kept is freed.
        Raises: ValueError for a missing or unknown input; DataError for labels or records that do not fit.
        """
        self._check_inputs(inputs)
        self.blobs, self.loss = {}, self._like.new_zeros(())
        losses = []
        for node in self._nodes:
            losses += self._run(node, inputs)
        if losses:
            self.loss = losses[0] if len(losses) == 1 else torch.stack(losses).sum()
        return {name: self.blobs[name] for name in self.outputs}

    def forward_unfed(self) -> dict[str, Tensor]:
        """Run all layers without being given inputs, as Caffe's command lines do: blobs of ``inputs`` are zeros."""
        outputs: dict[str, Tensor] = self(
            **{name: self._like.new_zeros(self.blob_shapes[name]) for name in self.inputs}
        )
        return outputs

    def _run(self, node: Node, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        """Run one layer and return its parts of the loss."""
        if node.layer.param.type == "Input":
            tops = tuple(self._as_blob(inputs[name]) for name in node.tops)
        else:
            bottoms = [self._bottom(node, index) for index in range(len(node.bottoms))]
            try:
                tops = self._compute(node, bottoms)
            except RuntimeError as exc:
                exc.add_note(f'in layer "{node.name}" ({node.layer.param.type})')
                raise
        if self.debug_info:
            log_layer(node, tops, [] if node.layer.param.type == "Input" else bottoms)
        losses = []
        for name, top, weight in zip(node.tops, tops, node.loss_weights, strict=True):
            if name != AUTOMATIC_TOP:
                self.blobs[name] = top
            if weight:
                losses.append(_weighted(top, weight))
        return losses

    def _compute(self, node: Node, bottoms: list[Tensor]) -> tuple[Tensor, ...]:
        if node.overwrites and not self.debug_info:  # whose hooks want the bottom as it was
            bottom = bottoms[0]
            if not (bottom.is_leaf and bottom.requires_grad):  # a leaf with a gradient cannot be written over
                return (node.layer.forward_in_place(bottom),)
        return node.layer(*bottoms)

    def _bottom(self, node: Node, index: int) -> Tensor:
        name = node.bottoms[index]
        blob = self.blobs[name]
        if node.detached[index]:
            return blob.detach()
        if node.forced[index] and not blob.requires_grad and blob.is_floating_point() and torch.is_grad_enabled():
            self.blobs[name] = blob = blob.detach().requires_grad_()
        return blob

    def _as_blob(self, value: Tensor) -> Tensor:
        """On the net's device and of its type; int64 labels stay what they are."""
        return value.to(self._like.device) if value.dtype == torch.int64 else value.to(self._like)

    def _check_inputs(self, inputs: Mapping[str, Tensor]) -> None:
        missing = [name for name in self.inputs if name not in inputs]
        unknown = [name for name in inputs if name not in self.inputs]
        if missing or unknown:
            wrong = f"missing {missing}" if missing else f"unknown {unknown}"
            raise ValueError(f"net {self.name!r}: inputs are {self.inputs}; {wrong}")

    def _check_databases(self, path: str | None) -> None:
        check_databases([node.layer.source_info for node in self._nodes if isinstance(node.layer, DataLayer)], path)


def _weighted(top: Tensor, weight: float) -> Tensor:
    total = top if top.dim() == 0 else top.sum()
    return total if weight == 1 else total * weight


def _phase_number(phase: str | int) -> int:
    if phase in ("TRAIN", caffe_pb2.TRAIN):
        return caffe_pb2.TRAIN
    if phase in ("TEST", caffe_pb2.TEST):
        return caffe_pb2.TEST
    raise ValueError(f'phase: expected "TRAIN" or "TEST", got {phase!r}')


def _state(own: caffe_pb2.NetState, phase: int, level: int | None, stages: Sequence[str]) -> caffe_pb2.NetState:
    """The message's own state with the phase and level set and the stages added."""
    state = caffe_pb2.NetState()
    state.CopyFrom(own)
    state.phase = phase  # type: ignore[assignment]
    if level is not None:
        state.level = level
    state.stage.extend(stages)
    return state


def _blob_loss_weights(nodes: Sequence[Node]) -> dict[str, float]:
    weights: dict[str, float] = {}
    for node in nodes:
        weights.update(zip(node.tops, node.loss_weights, strict=True))
    return weights


def _module_dict(nodes: Sequence[Node]) -> nn.ModuleDict:
    """The layers as submodules: ``layer.<name>`` in a state dict, with what torch forbids in a name replaced."""
    modules = nn.ModuleDict()
    for node in nodes:
        key = node.name.replace(".", "_") or "_"
        while key in modules or hasattr(modules, key):
            key += "_"
        modules.add_module(key, node.layer)
    return modules
