"""Pieces of prototxt, and a deploy net of the golden run."""

from __future__ import annotations

from pathlib import Path


def inputs(**shapes: tuple[int, ...]) -> str:
    """An Input layer for each keyword."""
    layers = []
    for name, shape in shapes.items():
        dims = " ".join(f"dim: {size}" for size in shape)
        layers.append(f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}')
    return "\n".join(layers)


def layer_text(type_name: str, bottom: str, top: str, options: str = "", name: str = "layer") -> str:
    return f'layer {{ name: "{name}" type: "{type_name}" bottom: "{bottom}" top: "{top}" {options} }}\n'


WEIGHTS = "snap_BINARYPROTO_iter_30.caffemodel"


def deploy(batch_size: int) -> str:
    """The golden run's net as a deploy net, written to a file."""
    text = Path("train_val.prototxt").read_text()
    body = text[text.index('layer { name: "conv1"') : text.index('layer { name: "loss"')]
    prob = layer_text("Softmax", "ip1", "prob", name="prob")
    Path("deploy.prototxt").write_text(inputs(data=(batch_size, 3, 16, 16)) + body + prob)
    return "deploy.prototxt"


def images_of(run: Path, count: int) -> tuple[list[str], list[int]]:
    lines = [line.split() for line in (run / "train.txt").read_text().splitlines()[:count]]
    return [str(run / "images" / name) for name, _ in lines], [int(label) for _, label in lines]
