"""Eight updates of every kind against real Caffe's (tests/golden/solvers)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from caffe_compat.proto.caffe_pb2 import NetParameter, SolverParameter
from caffe_compat.prototxt import parse_text
from caffe_compat.solver import Solver

CASES = sorted((Path(__file__).parent.parent / "golden/solvers").glob("*.npz"))
NUM_UPDATES = 8


def build(case: np.lib.npyio.NpzFile) -> Solver:
    """The case's solver, with real Caffe's start in it."""
    param = parse_text(str(case["solver"]), SolverParameter())
    param.ClearField("net")
    param.net_param.CopyFrom(parse_text(str(case["net"]), NetParameter()))
    solver = Solver(param)
    with torch.no_grad():
        for name, blob in blobs(solver):
            blob.copy_(torch.from_numpy(case[f"param/0/{name}"]))
    return solver


def blobs(solver: Solver) -> Iterator[tuple[str, torch.Tensor]]:
    for layer, params in solver.net.params.items():
        for index, blob in enumerate(params):
            yield f"{layer}/{index}", blob


def step(solver: Solver, case: np.lib.npyio.NpzFile, update: int) -> None:
    data = solver.net.layers["data"]
    data.set_input_arrays(case[f"data/{update}"], case[f"label/{update}"])
    solver.step(1)


def test_all_cases_are_there() -> None:
    assert len(CASES) == 18 and sum(path.stem.startswith("SGD") for path in CASES) == 12


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_updates(path: Path) -> None:
    with np.load(path) as case:
        solver = build(case)
        for update in range(1, NUM_UPDATES + 1):
            step(solver, case, update)
            assert float(solver.net.loss.detach()) == pytest.approx(float(case[f"loss/{update}"]), rel=1e-5)
            for name, blob in blobs(solver):
                expected = case[f"param/{update}/{name}"]
                deviation = np.abs(blob.detach().numpy() - expected).max()
                assert deviation <= 3e-6 * np.abs(expected).max(), f"{name} after update {update}"
        assert solver.iter == NUM_UPDATES
