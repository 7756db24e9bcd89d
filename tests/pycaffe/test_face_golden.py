"""The golden layers through the pycaffe face: real Caffe's answers, and those of ``caffe_compat.Net`` to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden_layers import CASES, FOLDER, TOLERANCE, arrays, build_net, deviation, read_case, run

import caffe_compat.pycaffe as caffe


def answers(name: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """A case, with the gradients that Caffe leaves zero, and what the face answers."""
    with np.load(FOLDER / f"{name}.npz") as stored:
        case = dict(stored)
    net = caffe.Net(str(case["prototxt"]), caffe.TRAIN if str(case["phase"]) == "TRAIN" else caffe.TEST)
    for key, value in arrays(case, "param").items():
        layer, index = key.rsplit("/", 1)
        net.params[layer][int(index)].data[...] = value
    for blob, value in arrays(case, "in").items():
        net.blobs[blob].data[...] = value
    net.forward()
    found = {f"top/{blob}": net.blobs[blob].data for blob in arrays(case, "top")}
    if arrays(case, "indiff") or arrays(case, "paramdiff"):
        for blob, value in arrays(case, "topdiff").items():
            net.blobs[blob].diff[...] = value
        net.backward()
        found.update({f"indiff/{blob}": net.blobs[blob].diff for blob in arrays(case, "indiff")})
        for key in arrays(case, "paramdiff"):
            layer, index = key.rsplit("/", 1)
            found[f"paramdiff/{key}"] = net.params[layer][int(index)].diff
    return case, {key: value.copy() for key, value in found.items()}


@pytest.mark.parametrize("name", CASES)
def test_answers_as_caffe(name: str) -> None:
    case, found = answers(name)
    wrong = {key: deviation(torch.from_numpy(value), case[key]) for key, value in found.items()}
    assert {key: value for key, value in wrong.items() if not value <= TOLERANCE} == {}
    assert set(found) == {key for key in case if key.split("/")[0] in ("top", "indiff", "paramdiff")}


@pytest.mark.parametrize("name", CASES)
def test_answers_as_the_net_to_the_bit(name: str) -> None:
    _, found = answers(name)
    case = read_case(name)
    net = build_net(case)
    for parameter in net.parameters():
        parameter.data = parameter.data.contiguous()  # as the face's: another order adds up in another order
    for key, answer in run(net, case).items():
        expected = np.zeros_like(found[key]) if answer is None else answer.detach().numpy()
        np.testing.assert_array_equal(found[key], expected, err_msg=key)
