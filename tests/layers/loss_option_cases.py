"""The other losses' rows of the table of options. SoftmaxWithLoss's are in option_cases.py."""

from __future__ import annotations

import tempfile

import numpy as np
from nets import inputs, layer_text
from option_table import Changes, Observation, Row, observe_net

from caffe_compat.weights import write_blobproto_file

MESSAGES = ("HingeLossParameter", "InfogainLossParameter", "ContrastiveLossParameter")


def loss(type_name: str, options: str, **shapes: tuple[int, ...]) -> str:
    return f"force_backward: true\n{inputs(**shapes)}\n{layer_text(type_name, ' '.join(shapes), 'y', options)}"


def hinge(options: str) -> str:
    return loss("HingeLoss", f"hinge_loss_param {{ {options} }}", scores=(4, 3), label=(4,))


def contrastive(options: str) -> str:
    return loss("ContrastiveLoss", f"contrastive_loss_param {{ {options} }}", a=(6, 3), b=(6, 3), label=(6,))


def infogain(options: str) -> str:
    return loss("InfogainLoss", f"infogain_loss_param {{ {options} }}", scores=(3, 3, 3), label=(3, 3))


def observe_with_matrices(text: str) -> Observation:
    """Beside two matrices of 3 x 3: FOLDER/ones and FOLDER/twos."""
    with tempfile.TemporaryDirectory() as folder:
        for name, value in (("ones", 1), ("twos", 2)):
            write_blobproto_file(f"{folder}/{name}", np.full((3, 3), value, np.float32))
        return observe_net(text.replace("FOLDER", folder))


def margins(seen: Observation) -> np.ndarray:
    scores, labels = seen["blob scores"], seen["blob label"].astype(int)
    signs = np.where(np.arange(3) == labels[:, None], -1, 1)
    return np.maximum(0, 1 + signs * scores)


def is_squared(base: Observation, changed: Observation) -> None:
    np.testing.assert_allclose(base["loss"], margins(base).sum() / 4, rtol=1e-6)
    np.testing.assert_allclose(changed["loss"], (margins(changed) ** 2).sum() / 4, rtol=1e-6)


def contrastive_loss(seen: Observation, margin: float, legacy: bool) -> float:
    squares = ((seen["blob a"] - seen["blob b"]) ** 2).sum(1)
    apart = np.maximum(margin - squares, 0) if legacy else np.maximum(margin - np.sqrt(squares), 0) ** 2
    return float(np.where(seen["blob label"] == 0, apart, squares).sum() / 12)


def has_another_margin(base: Observation, changed: Observation) -> None:
    expected = [contrastive_loss(base, 1, False), contrastive_loss(changed, 5, False)]
    np.testing.assert_allclose([base["loss"], changed["loss"]], expected, rtol=1e-5)


def is_without_a_root(base: Observation, changed: Observation) -> None:
    expected = [contrastive_loss(base, 5, False), contrastive_loss(changed, 5, True)]
    np.testing.assert_allclose([base["loss"], changed["loss"]], expected, rtol=1e-5)


def is_doubled(base: Observation, changed: Observation) -> None:
    np.testing.assert_allclose(changed["loss"], 2 * base["loss"], rtol=1e-6)


ROWS: list[Row] = [
    Changes("HingeLossParameter.norm", hinge(""), hinge("norm: L2"), expect=is_squared),
    Changes("ContrastiveLossParameter.margin", contrastive(""), contrastive("margin: 5"), expect=has_another_margin),
    Changes(
        "ContrastiveLossParameter.legacy_version",
        contrastive("margin: 5"),
        contrastive("margin: 5 legacy_version: true"),
        expect=is_without_a_root,
    ),
    Changes(
        "InfogainLossParameter.source",
        infogain('source: "FOLDER/ones"'),
        infogain('source: "FOLDER/twos"'),
        observe=observe_with_matrices,
        expect=is_doubled,
    ),
    Changes(
        "InfogainLossParameter.axis",
        infogain('source: "FOLDER/ones"'),
        infogain('source: "FOLDER/ones" axis: 2'),
        observe=observe_with_matrices,
    ),
]
