"""CaffeNet at full size, forward and backward, against real Caffe (tests/golden/caffenet.npz)."""

from pathlib import Path

import numpy as np
import pytest
import torch

from caffe_compat import Net

GOLDEN = Path(__file__).parent / "golden" / "caffenet.npz"
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as file:
        return dict(file)


@pytest.fixture(scope="module")
def net(golden: dict[str, np.ndarray]) -> Net:
    net = Net(str(golden["prototxt"]), phase="TRAIN")
    random = np.random.RandomState(int(golden["seed"]))
    for layer, (weight, bias) in net.params.items():
        scale = np.sqrt(2 / np.prod(weight.shape[1:])) * (0.05 if layer == "fc8" else 1)
        with torch.no_grad():
            weight.copy_(torch.from_numpy(random.randn(*weight.shape) * scale))
            bias.copy_(torch.from_numpy(random.randn(*bias.shape) * 0.1))
    data = torch.from_numpy(random.randn(*net.blob_shapes["data"]) * 60)
    net(data=data, label=torch.from_numpy(random.randint(0, 14, 2)))
    net.loss.backward()
    return net


def check(values: torch.Tensor, golden: dict[str, np.ndarray], key: str) -> float:
    found = values.detach().double().numpy()
    assert found.shape == tuple(golden[f"{key}/shape"])
    expected = golden[f"{key}/value"]
    at_index = np.abs(found.reshape(-1)[golden[f"{key}/index"]] - expected).max()
    norm = np.sqrt(golden[f"{key}/sumsq"])
    assert abs(np.sqrt((found**2).sum()) - norm) <= TOLERANCE * norm
    assert abs(found.sum() - golden[f"{key}/sum"]) <= TOLERANCE * norm * np.sqrt(found.size)
    return float(at_index / np.abs(expected).max())


def test_blobs(net: Net, golden: dict[str, np.ndarray]) -> None:
    """Blobs that ReLU overwrites were read afterwards in Caffe too."""
    names = sorted({key.split("/")[1] for key in golden if key.startswith("blob/")})
    assert len(names) > 10
    for name in names:
        assert check(net.blobs[name], golden, f"blob/{name}") <= TOLERANCE, name


def test_parameter_gradients(net: Net, golden: dict[str, np.ndarray]) -> None:
    keys = sorted({key.rsplit("/", 1)[0] for key in golden if key.startswith("paramdiff/")})
    assert len(keys) == 16
    for key in keys:
        _, layer, index = key.split("/")
        gradient = net.params[layer][int(index)].grad
        assert gradient is not None
        assert check(gradient, golden, key) <= TOLERANCE, key


def test_loss(net: Net, golden: dict[str, np.ndarray]) -> None:
    assert net.loss.item() == pytest.approx(float(golden["loss"]), rel=TOLERANCE)
