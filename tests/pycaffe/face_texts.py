"""Pieces of prototxt."""

from __future__ import annotations


def inputs(**shapes: tuple[int, ...]) -> str:
    """An Input layer for each keyword."""
    layers = []
    for name, shape in shapes.items():
        dims = " ".join(f"dim: {size}" for size in shape)
        layers.append(f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}')
    return "\n".join(layers)


def layer_text(type_name: str, bottom: str, top: str, options: str = "", name: str = "layer") -> str:
    return f'layer {{ name: "{name}" type: "{type_name}" bottom: "{bottom}" top: "{top}" {options} }}\n'
