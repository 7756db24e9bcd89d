"""The operators under torch.library's own checks, and the loss under torch.compile."""

import shutil
from collections.abc import Iterator

import pytest
import torch
from witness import gradients, random_batch

from caffe_compat import LabelNoiseLoss
from caffe_compat.label_noise import ops

OPTIONS = [{}, {"value": "q", "reduction": "sum"}, {"normalization": "labelled", "update_noise_lr": 0.1}]


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.parametrize("want_posterior", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_forward_operator(dtype: torch.dtype, want_posterior: bool, device: torch.device) -> None:
    batch = random_batch(5, 4).to(device, dtype)
    arguments = (*batch, False, True, want_posterior, 0.5)
    torch.library.opcheck(torch.ops.caffe_compat.label_noise_forward.default, arguments)


def test_backward_operator(device: torch.device) -> None:
    batch = random_batch(5, 4).to(device, torch.float32)
    _, grad_y, grad_z, *_ = ops.label_noise_forward(*batch, False, True, False, 0.5)
    weights = torch.rand(5, device=device)
    torch.library.opcheck(torch.ops.caffe_compat.label_noise_backward.default, (weights, grad_y, grad_z))


def test_going_back_through_a_forward_that_kept_nothing() -> None:
    batch = random_batch(5, 4).to(torch.device("cpu"), torch.float32)
    loss, *_ = ops.label_noise_forward(*batch, False, False, False, 1.0)
    with pytest.raises(RuntimeError, match="want_grad was False"):
        loss.sum().backward()


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("options", OPTIONS)
def test_compiled_loss_is_the_eager_one(options: dict[str, object], device: torch.device) -> None:
    check_compiled("aot_eager", options, device)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.skipif(shutil.which("c++") is None, reason="inductor needs a C++ compiler")
def test_compiled_by_inductor(device: torch.device) -> None:
    check_compiled("inductor", {}, device)


def check_compiled(backend: str, options: dict[str, object], device: torch.device) -> None:
    batch = random_batch(9, 14).to(device, torch.float32)
    loss = LabelNoiseLoss(batch.C, **options).to(device)
    compiled = torch.compile(loss, backend=backend, fullgraph=True)
    eager, result = loss(*batch[:3]), compiled(*batch[:3])
    torch.testing.assert_close(result, eager, rtol=1e-6, atol=1e-7)
    for actual, expected in zip(gradients(result, batch), gradients(eager, batch), strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.filterwarnings("default")
def test_compiled_posterior(device: torch.device) -> None:
    batch = random_batch(9, 14).to(device, torch.float32)
    loss = LabelNoiseLoss(batch.C).to(device)
    compiled = torch.compile(loss.posterior, backend="aot_eager", fullgraph=True)
    for actual, expected in zip(compiled(*batch[:3]), loss.posterior(*batch[:3]), strict=True):
        assert torch.equal(actual, expected)


@pytest.mark.filterwarnings("default")
def test_compiled_inside_a_model(device: torch.device) -> None:
    """With batches of several sizes, as a last batch is smaller."""
    torch.manual_seed(0)
    model = torch.nn.Linear(6, 14 + 3).to(device)
    loss = LabelNoiseLoss(random_batch(9, 14).C).to(device)

    def step(images: torch.Tensor, noisy: torch.Tensor) -> torch.Tensor:
        scores = model(images)
        return loss(scores[:, :14], scores[:, 14:], noisy)

    compiled = torch.compile(step, backend="aot_eager", fullgraph=True, dynamic=True)
    for size in (9, 4):
        images, noisy = torch.randn(size, 6, device=device), torch.arange(size, device=device) - 1
        (expected,) = torch.autograd.grad(step(images, noisy), [model.weight])
        (actual,) = torch.autograd.grad(compiled(images, noisy), [model.weight])
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-7)
