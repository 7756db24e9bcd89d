"""A net as a graph in dot, the language of graphviz, and as a picture through graphviz's ``dot`` program."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from caffe_compat.errors import CaffeCompatError, expected_got
from caffe_compat.files import atomic_path
from caffe_compat.glog import number
from caffe_compat.proto import caffe_pb2

SUFFIXES = (".png", ".svg", ".pdf", ".dot")

_DATA, _LOSS, _PARAMETERS, _WIRING, _PLAIN = "#dbe9f6", "#f9d5c4", "#fdf0c4", "#ececec", "#ffffff"
_WITH_PARAMETERS = {
    "Convolution", "Deconvolution", "InnerProduct", "Embed", "LSTM", "RNN", "Bias", "Scale", "BatchNorm", "PReLU",
    "Parameter",
}  # fmt: skip
_WITHOUT_ARITHMETIC = {"Concat", "Slice", "Split", "Reshape", "Flatten", "Silence", "Crop", "Tile", "BatchReindex"}


@dataclass
class _Box:
    """What is drawn as one box: a layer, and the in-place layers that follow it.

    Attributes:
        reads: each bottom with the boxes that make it: several where phases differ, none where nothing in the net does.
        is_read: those of its tops that another box reads.
    """

    layers: list[caffe_pb2.LayerParameter]
    reads: list[tuple[str, list[_Box]]] = field(default_factory=list)
    is_read: set[str] = field(default_factory=set)


def to_dot(
    net: caffe_pb2.NetParameter,
    rankdir: str = "LR",
    display_lrm: bool = False,
    display_phases: bool = False,
    label_edges: bool = True,
) -> str:
    """The graph of ``net`` (upgraded, and filtered unless layers of all phases are wanted) in dot.

    Boxes are layers with what matters of their options; layers that work in place stand in the box of the blob's maker.
    An arrow is a blob, with its name where that is not the layer's. Ellipses are blobs that no layer makes or reads.

    Args:
        rankdir: the direction of the flow: TB, LR, BT or RL.
        display_lrm: show the learning rate multipliers of layers with parameters.
        display_phases: show which layers are in one phase only.
        label_edges: name the blobs on the arrows.
    """
    boxes = _boxes(net.layer)
    names = {id(box): f"layer{index}" for index, box in enumerate(boxes)}
    lines = [f"digraph {_quoted(net.name or 'net')} {{", f"  rankdir={rankdir};", *_STYLE]
    inputs: dict[str, str] = {}
    for box in boxes:
        name = names[id(box)]
        label, colour = _label(box, display_lrm, display_phases), _quoted(_colour(box.layers[0]))
        lines.append(f"  {name} [label=<{label}>, fillcolor={colour}];")
        for blob, makers in box.reads:
            if not makers:
                lines.append(f"  {inputs.setdefault(blob, f'input{len(inputs)}')} -> {name};")
            for maker in makers:
                is_shown = label_edges and blob != maker.layers[0].name
                shown = f" [label={_quoted(blob)}]" if is_shown else ""
                lines.append(f"  {names[id(maker)]} -> {name}{shown};")
    lines += [f"  {name} [label={_quoted(blob)}, {_BLOB}];" for blob, name in inputs.items()]
    for index, (box, blob) in enumerate(_outputs(boxes)):
        lines.append(f"  output{index} [label={_quoted(blob)}, {_BLOB}];")
        lines.append(f"  {names[id(box)]} -> output{index};")
    return "\n".join([*lines, "}", ""])


_STYLE = [
    '  node [shape=box, style="rounded,filled", fontname="sans-serif", fontsize=11, color="#555555"];',
    '  edge [fontname="sans-serif", fontsize=9, color="#555555", fontcolor="#333333", arrowsize=0.7];',
]
_BLOB = 'shape=ellipse, style=solid, fontsize=10, margin="0.05,0.02"'


def _boxes(layers: Sequence[caffe_pb2.LayerParameter]) -> list[_Box]:
    boxes: list[_Box] = []
    makers: dict[str, list[_Box]] = {}
    for layer in layers:
        in_place = set(layer.bottom) & set(layer.top)
        if box := _maker_to_join(layer, makers):
            box.layers.append(layer)
            continue
        boxes.append(_Box([layer], [(blob, makers.get(blob, [])) for blob in layer.bottom]))
        for blob, sources in boxes[-1].reads:
            for source in sources:
                source.is_read.add(blob)
        for blob in layer.top:  # made twice by layers that are not in place: one layer for each phase
            makers[blob] = [boxes[-1]] if blob in in_place else [*makers.get(blob, []), boxes[-1]]
    return boxes


def _maker_to_join(layer: caffe_pb2.LayerParameter, makers: dict[str, list[_Box]]) -> _Box | None:
    """The box that an in-place layer belongs in: its bottom's maker, if nobody has read the bottom before."""
    if len(layer.bottom) != 1 or list(layer.bottom) != list(layer.top):
        return None
    boxes = makers.get(layer.bottom[0], [])
    return boxes[0] if len(boxes) == 1 and layer.bottom[0] not in boxes[0].is_read else None


def _outputs(boxes: Sequence[_Box]) -> Iterator[tuple[_Box, str]]:
    """Blobs that nobody reads; those of losses and accuracies are their boxes' names in all but name, so left out."""
    for box in boxes:
        first = box.layers[0]
        if not _is_last(first):
            yield from ((box, blob) for blob in first.top if blob not in box.is_read)


def _is_last(layer: caffe_pb2.LayerParameter) -> bool:
    return "Loss" in layer.type or layer.type in ("Accuracy", "Silence", "HDF5Output")


def _colour(layer: caffe_pb2.LayerParameter) -> str:
    if not layer.bottom and layer.type != "Parameter":
        return _DATA
    if _is_last(layer) or layer.loss_weight:
        return _LOSS
    if layer.type in _WITH_PARAMETERS:
        return _PARAMETERS
    return _WIRING if layer.type in _WITHOUT_ARITHMETIC else _PLAIN


def _label(box: _Box, display_lrm: bool, display_phases: bool) -> str:
    """HTML-like text: the layer's name in bold, its type and options, and a line for each in-place layer."""
    first, *in_place = box.layers
    lines = [f"<b>{html.escape(first.name)}</b>", html.escape(_what(first, display_phases))]
    if display_lrm and first.type in _WITH_PARAMETERS:
        lines.append(html.escape(f"lr_mult {', '.join(_rate_multipliers(first))}"))
    lines += [f'<font color="#333333">+ {html.escape(_what(layer, display_phases))}</font>' for layer in in_place]
    return "<br/>".join(lines)


def _what(layer: caffe_pb2.LayerParameter, display_phases: bool) -> str:
    words = [layer.type, *_details(layer), *(f"weight {number(weight)}" for weight in layer.loss_weight)]
    phases = sorted({caffe_pb2.Phase.Name(rule.phase) for rule in layer.include if rule.HasField("phase")})
    return " ".join(words + [f"({phase})" for phase in phases if display_phases])


def _details(layer: caffe_pb2.LayerParameter) -> list[str]:
    """The options one wants to see in a picture, as people write them: ``5x5/2 pad 1``."""
    kind = layer.type
    if kind in ("Convolution", "Deconvolution"):
        convolution = layer.convolution_param
        window = _window(convolution, list(convolution.kernel_size), list(convolution.stride), list(convolution.pad))
        extra = [f"dilation {'x'.join(map(str, convolution.dilation))}"] if convolution.dilation else []
        groups = [f"group {convolution.group}"] if convolution.group > 1 else []
        return [str(convolution.num_output), *window, *extra, *groups]
    if kind == "Pooling":
        pooling = layer.pooling_param
        method = caffe_pb2.PoolingParameter.PoolMethod.Name(pooling.pool)
        if pooling.global_pooling:
            return [method, "global"]
        given = ([value] if value else [] for value in (pooling.kernel_size, pooling.stride, pooling.pad))
        return [method, *_window(pooling, *given)]
    if kind == "InnerProduct":
        return [str(layer.inner_product_param.num_output)]
    if kind == "Dropout":
        return [number(layer.dropout_param.dropout_ratio)]
    if kind == "LRN":
        return [str(layer.lrn_param.local_size)]
    if kind == "Eltwise":
        return [caffe_pb2.EltwiseParameter.EltwiseOp.Name(layer.eltwise_param.operation)]
    if kind == "Data":
        return [Path(layer.data_param.source).name, f"batch {layer.data_param.batch_size}"]
    if kind == "Input":
        return ["x".join(map(str, shape.dim)) for shape in layer.input_param.shape]
    return []


def _window(
    param: caffe_pb2.ConvolutionParameter | caffe_pb2.PoolingParameter,
    kernel: list[int],
    stride: list[int],
    pad: list[int],
) -> list[str]:
    """``3x3/2`` and ``pad 1``, from the fields for all axes or those for height and width."""
    kernel_text = _axes(kernel, param.kernel_h, param.kernel_w, always_both=True)
    stride_text, pad_text = _axes(stride, param.stride_h, param.stride_w), _axes(pad, param.pad_h, param.pad_w)
    parts = [kernel_text + (f"/{stride_text}" if stride_text not in ("", "1", "0") else "")]
    return parts + ([f"pad {pad_text}"] if pad_text not in ("", "0") else [])


def _axes(values: list[int], height: int, width: int, always_both: bool = False) -> str:
    both = values or ([height, width] if height or width else [])
    if len(set(both)) == 1:
        both = 2 * both[:1] if always_both and len(both) <= 2 else both[:1]
    return "x".join(map(str, both))


def _rate_multipliers(layer: caffe_pb2.LayerParameter) -> list[str]:
    return [number(param.lr_mult) for param in layer.param] or ["1"]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def draw(dot: str, path: str | os.PathLike[str]) -> None:
    """Write the graph as a picture, .png, .svg or .pdf, or as it is, .dot.

    Raises: CaffeCompatError naming the package to install if graphviz is not there, or for another kind of file.
    """
    final = Path(path)
    if final.suffix not in SUFFIXES:
        problem = expected_got(f"a name that ends in {', '.join(SUFFIXES)}", final.suffix or "none")
        raise CaffeCompatError(problem, path=os.fspath(path))
    content = dot.encode() if final.suffix == ".dot" else render(dot, final.suffix[1:])
    with atomic_path(final) as part:
        part.write_bytes(content)


def render(dot: str, kind: str) -> bytes:
    """The graph as the content of a picture file; ``kind`` is one of graphviz's formats.

    Raises: CaffeCompatError naming what to install; ValueError from graphviz for a format that it does not know.
    """
    try:
        import graphviz
    except ImportError as exc:
        problem = "pictures need the Python package graphviz: pip install graphviz (a .dot file needs nothing)"
        raise CaffeCompatError(problem) from exc
    try:
        return bytes(graphviz.Source(dot).pipe(format=kind))
    except graphviz.ExecutableNotFound as exc:
        problem = "pictures need the program dot: apt-get install graphviz (a .dot file needs nothing)"
        raise CaffeCompatError(problem) from exc
