"""The label noise layer's rows of the table of options."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from option_table import Changes, Observation, Row, observe_net

from caffe_compat.weights import write_blobproto_file

MESSAGES = ("SoftmaxNoisyLabelLossParameter",)

CONFUSIONS = {
    "swap": np.array([[0, 1, 0.5], [1, 0, 0.5], [0, 0, 0]], np.float32),
    "turn": np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], np.float32),
}


def net(options: str) -> str:
    inputs = "".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}\n'
        for name, dims in (("y", "dim: 4 dim: 3"), ("z", "dim: 4 dim: 3"), ("label", "dim: 4"))
    )
    return f"""force_backward: true
        {inputs}
        layer {{ name: "loss" type: "SoftmaxWithNoisyLabelLoss" bottom: "y" bottom: "z" bottom: "label" top: "loss"
          softmax_noisy_label_loss_param {{ {options} }} }}"""


def from_file(name: str, extra: str = "") -> str:
    return net(f'matrix_c_filler {{ type: "blob_proto" source: "{name}" }} {extra}')


def observe(text: str) -> Observation:
    """Beside files with the confusion matrices."""
    with tempfile.TemporaryDirectory() as folder:
        for name, confusion in CONFUSIONS.items():
            write_blobproto_file(Path(folder) / name, confusion)
            text = text.replace(f'"{name}"', f'"{folder}/{name}"')
        return observe_net(text)


def only_the_type_gradient_shrinks(base: Observation, changed: Observation) -> None:
    np.testing.assert_array_equal(changed["gradient of y"], base["gradient of y"])
    np.testing.assert_allclose(changed["gradient of z"], 0.25 * base["gradient of z"], rtol=1e-6)


ROWS: list[Row] = [
    Changes(
        "SoftmaxNoisyLabelLossParameter.update_noise_lr",
        from_file("swap"),
        from_file("swap", "update_noise_lr: 0.25"),
        observe=observe,
        expect=only_the_type_gradient_shrinks,
    ),
    Changes(
        "SoftmaxNoisyLabelLossParameter.matrix_c_filler",
        net(""),
        from_file("turn"),
        observe=observe,
        along=("FillerParameter.type", "FillerParameter.source"),
    ),
]
