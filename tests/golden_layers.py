"""Real Caffe's answers for single layers (tests/golden/layers) and a Net's answers to the same questions."""

from pathlib import Path

import numpy as np
import torch

from caffe_compat import Net

FOLDER = Path(__file__).parent / "golden" / "layers"
CASES = sorted(path.stem for path in FOLDER.glob("*.npz"))
TOLERANCE = 1e-5  # of the largest magnitude of the array


def read_case(name: str) -> dict[str, np.ndarray]:
    """A case's arrays, less the gradients that are zero because nothing made Caffe run a backward pass."""
    with np.load(FOLDER / f"{name}.npz") as arrays_of_case:
        case = dict(arrays_of_case)
    if arrays(case, "topdiff") and "force_backward: true" not in str(case["prototxt"]):
        for key in [key for key in case if key.startswith(("indiff/", "paramdiff/"))]:
            assert not case.pop(key).any()
    return case


def arrays(case: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays called ``prefix/...``, without the prefix."""
    return {key[len(prefix) + 1 :]: value for key, value in case.items() if key.startswith(f"{prefix}/")}


def build_net(case: dict[str, np.ndarray]) -> Net:
    """The case's net with the case's parameters."""
    net = Net(str(case["prototxt"]), phase=str(case["phase"]))
    for key, value in arrays(case, "param").items():
        layer, index = key.rsplit("/", 1)
        with torch.no_grad():
            net.params[layer][int(index)].copy_(torch.from_numpy(value))
    return net


def run(net: Net, case: dict[str, np.ndarray]) -> dict[str, torch.Tensor | None]:
    """Forward and, where the case has gradients, backward; keys as the case's own."""
    net(**{name: torch.from_numpy(value) for name, value in arrays(case, "in").items()})
    answers = {f"top/{name}": net.blobs[name] for name in arrays(case, "top")}
    if not arrays(case, "indiff"):
        return answers
    top_diffs = arrays(case, "topdiff")
    if top_diffs:
        top_diffs = {name: diff for name, diff in top_diffs.items() if net.blobs[name].requires_grad}
        tops = [net.blobs[name] for name in top_diffs]
        torch.autograd.backward(tops, [torch.from_numpy(diff).to(tops[0]) for diff in top_diffs.values()])
    elif net.loss.requires_grad:
        net.loss.backward()
    answers.update({f"indiff/{name}": net.blobs[name].grad for name in arrays(case, "indiff")})
    for key in arrays(case, "paramdiff"):
        layer, index = key.rsplit("/", 1)
        answers[f"paramdiff/{key}"] = net.params[layer][int(index)].grad
    return answers


def deviation(answer: torch.Tensor | None, expected: np.ndarray) -> float:
    """Largest difference over the largest magnitude expected; a missing gradient counts as zero."""
    found = np.zeros_like(expected) if answer is None else answer.detach().numpy()
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max(initial=0) / max(np.abs(expected).max(initial=0), 1e-30))


def deviations(name: str, double: bool = False) -> dict[str, float]:
    case = read_case(name)
    net = build_net(case)
    if double:
        net = net.double()
    return {key: deviation(answer, case[key]) for key, answer in run(net, case).items()}
