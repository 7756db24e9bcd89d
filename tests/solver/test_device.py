"""CPU or GPU: only a GPU that is asked for and there."""

from __future__ import annotations

import pytest
import torch

from caffe_compat.errors import CaffeCompatError
from caffe_compat.proto.caffe_pb2 import SolverParameter
from caffe_compat.prototxt import parse_text
from caffe_compat.solver.device import device_of_solver, gpu_of_flag


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)


@pytest.mark.parametrize(
    "gpus, text, device",
    [
        (2, "", "cpu"),  # the field's default is GPU; silence means the CPU
        (2, "solver_mode: CPU device_id: 1", "cpu"),
        (2, "solver_mode: GPU", "cuda:0"),
        (2, "solver_mode: GPU device_id: 1", "cuda:1"),
        (2, "solver_mode: GPU device_id: 2", "cpu"),
        (0, "solver_mode: GPU", "cpu"),
    ],
    indirect=["gpus"],
)
def test_solver_mode(gpus: None, text: str, device: str, log: pytest.LogCaptureFixture) -> None:
    assert device_of_solver(parse_text(text, SolverParameter())) == torch.device(device)
    warned = [line for line in log.messages if "training on the CPU" in line]
    assert bool(warned) == (device == "cpu" and "GPU" in text)


@pytest.mark.parametrize(
    "gpus, flag, number", [(1, "all", 0), (3, "2", 2), (3, "2,0", 2), (0, "", None)], indirect=["gpus"]
)
def test_flag(gpus: None, flag: str, number: int | None) -> None:
    assert gpu_of_flag(flag) == number


@pytest.mark.parametrize(
    "gpus, flag, problem",
    [
        (0, "0", "no CUDA device can be used here"),
        (2, "0,0", "a GPU is named twice: '0,0'"),
        (2, "2", "expected 'all' or numbers from 0 to 1, got '2'"),
        (2, "-1", "expected 'all' or numbers from 0 to 1, got '-1'"),
        (2, "first", "got 'first'"),
    ],
    indirect=["gpus"],
)
def test_wrong_flag(gpus: None, flag: str, problem: str) -> None:
    with pytest.raises(CaffeCompatError, match=f"^--gpu: .*{problem}"):
        gpu_of_flag(flag)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_training_on_a_gpu_is_training_on_the_cpu() -> None:
    from tiny_nets import CLASSIFIER, make_solver

    options = "momentum: 0.9 weight_decay: 0.01 test_iter: 2 test_interval: 2 clip_gradients: 0.5"
    results = []
    for mode in ("CPU", "GPU"):
        solver = make_solver(f"{options} solver_mode: {mode}", CLASSIFIER)
        solver.step(5)
        results.append([blob.detach().cpu() for blob in solver.net.params["ip"]])
        assert solver.net.params["ip"][0].is_cuda == (mode == "GPU") and solver.test()
    for cpu, gpu in zip(*results, strict=True):
        torch.testing.assert_close(cpu, gpu, rtol=1e-4, atol=1e-5)
