"""The kernels as torch operators: opcheck, and torch.compile of the loss."""

import pytest
import torch
from cases import batch

from caffe_compat import LabelNoiseLoss


@pytest.mark.parametrize("want_q", [False, True])
def test_opcheck(want_q):
    case = batch(4, 5, dtype=torch.float32)
    scores = [s.clone().requires_grad_() for s in case[:2]]
    arguments = (*scores, case.noisy, case.C, want_q, True, True, 0.5)
    torch.library.opcheck(torch.ops.caffe_compat.label_noise_forward, arguments)


@pytest.mark.parametrize("value", ["nll", "q"])
def test_compiles_into_one_graph(value):
    case = batch(4, 5, dtype=torch.float32)
    loss = LabelNoiseLoss(case.C, value=value, update_noise_lr=0.5)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    results = []
    for function in (loss, compiled):
        scores = [s.clone().requires_grad_() for s in case[:2]]
        value_of_batch = function(*scores, case.noisy)
        value_of_batch.backward()
        results.append([value_of_batch.detach(), *(s.grad for s in scores)])
    for got, wanted in zip(*results, strict=True):
        torch.testing.assert_close(got, wanted)
