"""Python layers: the user's arithmetic is the witness, pycaffe's own examples the programs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from nets import forward, inputs, layer_text, one_layer, randn

from caffe_compat import Net
from caffe_compat.errors import PrototxtError
from caffe_compat.layers.python_blobs import Blob


def options(layer: str, extra: str = "", module: str = "user_layers") -> str:
    return f'python_param {{ module: "{module}" layer: "{layer}" {extra} }}'


def notes(caught: pytest.ExceptionInfo[BaseException]) -> str:
    return "\n".join(caught.value.__notes__)


def test_forward_and_backward_are_the_users() -> None:
    net = one_layer("Python", "y", options("Scale", 'param_str: "2.5"'), x=(2, 3))
    assert net.blob_shapes["y"] == (2, 3)
    x = randn(2, 3)
    np.testing.assert_array_equal(forward(net, x=x)["y"], 2.5 * x)
    top_diff = randn(2, 3, seed=1)
    net.blobs["y"].backward(torch.from_numpy(top_diff))
    np.testing.assert_array_equal(net.blobs["x"].grad, 2.5 * top_diff)


def test_three_in_a_row() -> None:
    """Caffe's own test: three layers that multiply by ten."""
    layers = [layer_text("Python", a, b, options("Scale", 'param_str: "10"'), name=b) for a, b in ("xp", "pq", "qy")]
    net = Net(f"force_backward: true {inputs(x=(10, 9, 8))}\n" + "".join(layers))
    assert (net(x=torch.full((10, 9, 8), 8.0))["y"] == 8000).all()
    net.blobs["y"].backward(torch.full((10, 9, 8), 7.0))
    assert net.blobs["x"].grad is not None and (net.blobs["x"].grad == 7000).all()
    assert net(x=torch.zeros(4, 5))["y"].shape == (4, 5)  # every pass reshapes


def test_the_euclidean_loss_example() -> None:
    """As torch's mean squared error, by weight and by which bottoms want a gradient."""
    loss = layer_text("Python", "a b", "loss", options("EuclideanLoss") + " loss_weight: 3")
    net = Net(f"force_backward: true {inputs(a=(4, 3), b=(4, 3))}\n{loss}").double()
    a, b = torch.from_numpy(randn(4, 3)), torch.from_numpy(randn(4, 3, seed=1))
    net(a=a, b=b)
    net.loss.backward()
    leaf = a.clone().requires_grad_()
    expected = 3 * (leaf - b).square().sum() / 4 / 2
    expected.backward()
    np.testing.assert_allclose(net.loss.item(), expected.item())
    np.testing.assert_allclose(net.blobs["a"].grad, leaf.grad)
    np.testing.assert_allclose(net.blobs["b"].grad, -leaf.grad)


def test_propagate_down_says_which_gradients_are_wanted() -> None:
    """Both bottoms learn, and one is cut off."""
    learned = "\n".join(
        f'layer {{ name: "{name}" type: "Parameter" top: "{name}" parameter_param {{ shape {{ dim: 4 dim: 3 }} }} }}'
        for name in "ab"
    )
    loss = layer_text(
        "Python", "a b", "loss", options("EuclideanLoss") + " propagate_down: [false, true] loss_weight: 1"
    )
    net = Net(learned + "\n" + loss)
    with torch.no_grad():
        net.params["a"][0].fill_(1)
    net()
    net.loss.backward()
    assert net.params["a"][0].grad is None
    gradient = net.params["b"][0].grad
    assert gradient is not None and (gradient == -0.25).all()


def test_parameters() -> None:
    net = one_layer("Python", "y", options("Affine"), x=(5,))
    assert [blob.tolist() for blob in net.params["layer"]] == [[2], [0]]
    with torch.no_grad():
        net.params["layer"][1].fill_(7)
    x = randn(5)
    np.testing.assert_allclose(forward(net, x=x)["y"], 2 * x + 7)
    for passes in (1, 2):  # gradients of several passes add up
        forward(net, x=x)
        (net.blobs["y"] * 3).sum().backward()
        weight, bias = (blob.grad for blob in net.params["layer"])
        assert weight is not None and bias is not None
        np.testing.assert_allclose([weight.item(), bias.item()], [passes * 3 * x.sum(), passes * 15])


def test_parameters_are_shared_and_saved(tmp_path: Path) -> None:
    shared = 'param { name: "w" } param { name: "b" }'
    text = inputs(x=(2,)) + "\n"
    text += layer_text("Python", "x", "y", f"{options('Affine')} {shared}", name="one")
    text += layer_text("Python", "y", "z", f"{options('Affine')} {shared}", name="two")
    net = Net(text)
    with torch.no_grad():
        net.params["two"][0].fill_(5)
    assert net(x=torch.tensor([1.0, 2]))["z"].tolist() == [25, 50]
    net.save_weights(tmp_path / "net.caffemodel")
    again = Net(text, weights=tmp_path / "net.caffemodel")
    assert again(x=torch.tensor([1.0, 2]))["z"].tolist() == [25, 50]


@pytest.mark.parametrize(("phase", "number"), [("TRAIN", 0), ("TEST", 1)])
def test_a_data_layer_and_the_phase(phase: str, number: int) -> None:
    net = Net(layer_text("Python", "", "data phase", options("Counter")), phase=phase)
    assert net.blob_shapes == {"data": (1, 2), "phase": (2,)}
    assert [net()["data"].tolist() for _ in range(3)] == [[[1, 1]], [[2, 2]], [[3, 3]]]
    assert net.blobs["phase"].tolist() == [number, number]  # written once, in setup: a top keeps its numbers


def test_in_place() -> None:
    text = f"force_backward: true {inputs(x=(3,))}\n" + layer_text("Python", "x", "x", options("SquareInPlace"))
    net = Net(text)
    x = torch.tensor([1.0, -2, 3], requires_grad=True)
    assert net(x=x)["x"].tolist() == [1, 4, 9]
    net.blobs["x"].sum().backward()
    assert x.tolist() == [1, -2, 3]
    assert x.grad is not None and x.grad.tolist() == [2, -4, 6]


def test_a_diff_written_in_forward_is_there_in_backward() -> None:
    net = one_layer("Python", "y", options("DiffInForward"), x=(3,))
    forward(net, x=np.array([1.0, 2, 3]))
    net.blobs["y"].sum().backward()
    assert net.blobs["x"].grad is not None and net.blobs["x"].grad.tolist() == [3, 12, 27]


def test_blobs_without_tops() -> None:
    net = Net(inputs(x=(2, 3)) + "\n" + layer_text("Python", "x", "", options("Recorder")))
    net(x=torch.ones(2, 3))
    net(x=torch.ones(4, dtype=torch.int64))
    assert net.layers["layer"].user.seen == [((2, 3), 6, 2, 3, 1, 1, 6), ((4,), 4, 4, 1, 1, 1, 4)]


def test_arrays_have_the_nets_type() -> None:
    net = Net(inputs(x=(2,)) + "\n" + layer_text("Python", "x", "y", options("Scale", 'param_str: "0.1"')))
    assert net(x=torch.ones(2))["y"].dtype == torch.float32
    assert net.double()(x=torch.ones(2))["y"].tolist() == [0.1, 0.1]


def test_backward_of_an_old_forward_pass_is_refused() -> None:
    net = one_layer("Python", "y", options("Scale"), x=(2,))
    forward(net, x=randn(2))
    old = net.blobs["y"]
    forward(net, x=randn(2))
    with pytest.raises(RuntimeError, match=r'layer "layer" \(Python\) has run forward again'):
        old.sum().backward()


@pytest.mark.parametrize("method", ["__init__", "setup", "reshape"])
def test_exceptions_while_the_net_is_built_name_the_layer(method: str) -> None:
    with pytest.raises(KeyError, match="the user's mistake") as caught:
        one_layer("Python", "y", options("Failing", f'param_str: "{method}"'), x=(2,))
    assert notes(caught) == f'in layer "layer" (Python), user_layers.Failing: {method}'


@pytest.mark.parametrize("method", ["forward", "backward"])
def test_exceptions_while_the_net_runs_name_the_layer(method: str) -> None:
    net = one_layer("Python", "y", options("Failing", f'param_str: "{method}"'), x=(2,))
    with pytest.raises(KeyError, match="the user's mistake") as caught:
        forward(net, x=randn(2))
        net.blobs["y"].sum().backward()
    assert notes(caught) == f'in layer "layer" (Python), user_layers.Failing: {method}'


def test_a_backward_that_is_missing_is_missed_when_it_is_needed() -> None:
    net = one_layer("Python", "y", options("NoBackward"), x=(2,))
    forward(net, x=randn(2))
    with pytest.raises(AttributeError, match="backward") as caught:
        net.blobs["y"].sum().backward()
    assert 'in layer "layer" (Python), user_layers.NoBackward: backward' in notes(caught)


ERRORS = {
    'module: "user_layers" layer: "Scael"': ("layer", 'module "user_layers" has no "Scael"; closest: Scale'),
    'module: "user_layers" layer: "NoForward"': ("layer", '"NoForward" has no reshape and no forward'),
    'module: "no_such_module" layer: "Scale"': ("module", 'no module "no_such_module" on sys.path'),
    'module: "user_layers.sub" layer: "Scale"': ("module", 'no module "user_layers.sub" on sys.path'),
    'layer: "Scale"': ("module", "expected the name of a module"),
}


@pytest.mark.parametrize("text", ERRORS)
def test_errors(text: str) -> None:
    field, problem = ERRORS[text]
    with pytest.raises(PrototxtError) as caught:
        one_layer("Python", "y", f"python_param {{ {text} }}", x=(2,))
    assert (caught.value.field, caught.value.layer) == (f"python_param.{field}", "layer")
    assert problem in str(caught.value)


def test_a_module_that_fails_to_import_shows_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for name, code, error in (("broken", "1 / 0", ZeroDivisionError), ("needy", "import no_such", ModuleNotFoundError)):
        (tmp_path / f"{name}_user_module.py").write_text(code)
        with pytest.raises(error) as caught:
            one_layer("Python", "y", options("Scale", module=f"{name}_user_module"), x=(2,))
        assert notes(caught) == f'in layer "layer" (Python), {name}_user_module.Scale: import'


def test_blob() -> None:
    blob = Blob()
    assert (blob.shape, blob.count) == ((0,), 0)
    blob.reshape(2, 3)
    assert not blob.data.any() and not blob.diff.any()
    blob.data[...] = np.arange(6).reshape(2, 3)
    blob.reshape(3)  # what is left keeps its numbers, and comes back
    assert blob.data.tolist() == [0, 1, 2]
    blob.reshape(3, 2)
    assert blob.data.tolist() == [[0, 1], [2, 3], [4, 5]]
    blob.reshape(7)
    assert blob.data.tolist() == [0] * 7
    blob.reshape()
    assert (blob.data.shape, blob.count) == ((), 1)
    blob.reshape(2, 3, 4, 5)
    assert (blob.num, blob.channels, blob.height, blob.width) == (2, 3, 4, 5)
    blob.reshape(1, 1, 1, 1, 2)
    with pytest.raises(ValueError, match="4 axes at most"):
        blob.width  # noqa: B018
    with pytest.raises(ValueError, match="no negative size"):
        blob.reshape(2, -1)
    with pytest.raises(AttributeError):
        blob.data = np.zeros(2)  # type: ignore[misc]
