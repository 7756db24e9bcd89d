"""From a net's message to its layers in order, wired by blob name. Source: Net::Init, src/caffe/net.cpp."""

from __future__ import annotations

import logging

from caffe_compat.errors import PrototxtError
from caffe_compat.glog import shape_text
from caffe_compat.layers import BuildContext, Layer, construct_layer
from caffe_compat.layers.shapes import Shape, check_blob_shape, count
from caffe_compat.net.backward import plan_backward, takes_for_learning
from caffe_compat.net.graph import Graph, Node
from caffe_compat.net.sharing import ParamTable
from caffe_compat.proto import caffe_pb2

logger = logging.getLogger("caffe_compat")

AUTOMATIC_TOP = "(automatic)"  # Caffe's name for the top of a loss layer that names none
_FLOAT_BYTES = 4


def build_graph(net: caffe_pb2.NetParameter, context: BuildContext) -> Graph:
    """Build every layer of ``net``, which is filtered and has its splits.

    Raises: PrototxtError naming the layer, as Caffe's checks do.
    """
    builder = _Builder(context)
    for param in net.layer:
        builder.add(param)
    builder.params.set_requires_grad(net.force_backward)
    plan_backward(builder.nodes, net.force_backward)
    outputs = sorted(builder.available)
    for name in outputs:
        logger.info("This network produces output %s", name)
    return Graph(builder.nodes, builder.shapes, builder.inputs, outputs, builder.params.learnable)


class _Builder:
    """What is known while the layers are added one after the other."""

    def __init__(self, context: BuildContext) -> None:
        self.context = context
        self.nodes: list[Node] = []
        self.shapes: dict[str, Shape] = {}
        self.available: set[str] = set()  # blobs that nobody has read yet
        self.inputs: list[str] = []
        self.params = ParamTable()
        self._makers: dict[str, Layer] = {}  # the last layer that made each blob
        self._num_elements = 0

    def add(self, param: caffe_pb2.LayerParameter) -> None:
        logger.info("Creating layer %s", param.name)
        written = caffe_pb2.LayerParameter(param=param.param)  # the layer may add to its own
        layer = construct_layer(param, self.context)
        logger.info("Creating Layer %s", param.name)
        self._take_bottoms(param)
        self._announce_tops(param)
        layer.set_up([self.shapes[name] for name in param.bottom])
        node = Node(param.name, layer, list(param.bottom), _top_names(layer), _loss_weights(layer))
        node.overwrites = self._may_overwrite(node)
        self._set_up(node)
        self.params.add_layer(layer)
        node.learns = takes_for_learning(written, len(layer.blobs))
        if param.type == "Input":
            self.inputs += node.tops
        self.nodes.append(node)

    def _take_bottoms(self, param: caffe_pb2.LayerParameter) -> None:
        if len(param.propagate_down) not in (0, len(param.bottom)):
            problem = f"must be specified either 0 or {len(param.bottom)} times, once per bottom"
            raise self._error(param, f"{problem}; got {len(param.propagate_down)}", "propagate_down")
        for index, name in enumerate(param.bottom):
            if name not in self.available:
                problem = f"Unknown bottom blob '{name}' (layer '{param.name}', bottom index {index})"
                raise self._error(param, problem, "bottom")
            self.available.remove(name)
            logger.info("%s <- %s", param.name, name)

    def _announce_tops(self, param: caffe_pb2.LayerParameter) -> None:
        taken = set(self.shapes)
        for index, name in enumerate(param.top):
            in_place = index < len(param.bottom) and param.bottom[index] == name
            if name in taken and not in_place:
                raise self._error(param, f"Top blob '{name}' produced by multiple sources.", "top")
            taken.add(name)
            logger.info("%s -> %s%s", param.name, name, " (in-place)" if in_place else "")

    def _set_up(self, node: Node) -> None:
        """Caffe's Reshape: the shapes of the tops, logged as Caffe does."""
        tops = node.layer.top_shapes([self.shapes[name] for name in node.bottoms])
        if len(tops) != len(node.tops):
            raise RuntimeError(f"layer type {node.layer.param.type}: {len(tops)} shapes for {len(node.tops)} tops")
        if not node.layer.param.top and node.tops:
            logger.info("%s -> %s", node.name, AUTOMATIC_TOP)
        logger.info("Setting up %s", node.name)
        for index, (name, shape, weight) in enumerate(zip(node.tops, tops, node.loss_weights, strict=True)):
            check_blob_shape(node.layer, shape, f"top[{index}]")
            logger.info("Top shape: %s", shape_text(shape))
            if weight:
                logger.info("    with loss weight %g", weight)
            self._num_elements += count(shape)
            if name != AUTOMATIC_TOP:
                self.shapes[name], self._makers[name] = shape, node.layer
                self.available.add(name)
        logger.info("Memory required for data: %d", self._num_elements * _FLOAT_BYTES)

    def _may_overwrite(self, node: Node) -> bool:
        """In place by name, and nothing in the gradient needs what the bottom's maker wrote."""
        if not node.layer.overwrites_bottom or node.bottoms != node.tops:
            return False
        return self._makers[node.bottoms[0]].keeps_no_output

    def _error(self, param: caffe_pb2.LayerParameter, problem: str, where: str) -> PrototxtError:
        return PrototxtError(problem, path=self.context.path, layer=param.name, layer_type=param.type, field=where)


def _top_names(layer: Layer) -> list[str]:
    """The layer's tops; a loss layer without any gets the one Caffe makes up."""
    return list(layer.param.top) or ([AUTOMATIC_TOP] if layer.is_loss else [])


def _loss_weights(layer: Layer) -> list[float]:
    """``loss_weight`` once per top, or 1 for the first top of a loss layer and 0 for all others.

    Deviations: a loss layer with several tops takes a single weight for the first one, which Caffe refuses.
    """
    num_tops, given = len(_top_names(layer)), list(layer.param.loss_weight)
    if layer.is_loss and len(given) == 1:
        given += [0.0] * (num_tops - 1)
    if given and len(given) != num_tops:
        problem = f"must be unspecified or specified once per top blob ({num_tops}); got {len(given)}"
        raise layer.error(problem, field="loss_weight")
    return given or [float(layer.is_loss and index == 0) for index in range(num_tops)]
