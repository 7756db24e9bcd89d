"""Small nets around one layer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from caffe_compat import Net
from caffe_compat.errors import PrototxtError
from caffe_compat.net.builder import Node


def inputs(**shapes: Sequence[int]) -> str:
    """Input layers, one per keyword."""
    return "\n".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" '
        f"input_param {{ shape {{ {' '.join(f'dim: {size}' for size in shape)} }} }} }}"
        for name, shape in shapes.items()
    )


def layer_text(type_name: str, bottoms: str, tops: str, options: str = "", name: str = "layer") -> str:
    wiring = "".join(f' bottom: "{bottom}"' for bottom in bottoms.split())
    wiring += "".join(f' top: "{top}"' for top in tops.split())
    return f'layer {{ name: "{name}" type: "{type_name}"{wiring} {options} }}\n'


def one_layer_text(type_name: str, options: str = "", tops: str = "y", **shapes: Sequence[int]) -> str:
    """Input layers and one layer that reads them all; every bottom gets a gradient."""
    return f"force_backward: true\n{inputs(**shapes)}\n{layer_text(type_name, ' '.join(shapes), tops, options)}"


def one_layer(type_name: str, tops: str = "y", options: str = "", phase: str = "TEST", **shapes: Sequence[int]) -> Net:
    """The net of :func:`one_layer_text`, in float64."""
    return Net(one_layer_text(type_name, options, tops, **shapes), phase=phase).double()


def assert_refused(
    type_name: str, tops: str, options: str, bottoms: dict[str, Sequence[int]], field: str, problem: str
) -> None:
    """:func:`one_layer` is an error that names the layer, the field and the problem."""
    with pytest.raises(PrototxtError) as caught:
        one_layer(type_name, tops, options, **bottoms)
    assert (caught.value.field, caught.value.layer) == (field, "layer")
    assert problem in str(caught.value)


def forward(net: Net, **arrays: Any) -> dict[str, np.ndarray]:
    """All blobs of a forward pass as arrays."""
    net(**{name: torch.as_tensor(array) for name, array in arrays.items()})
    return {name: blob.detach().numpy() for name, blob in net.blobs.items()}


def node(net: Net, name: str) -> Node:
    return next(node for node in net._nodes if node.name == name)


def randn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).randn(*shape)
