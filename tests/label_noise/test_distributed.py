"""The mean over the ranks' batch: DistributedDataParallel's gradients are those of one process on the whole batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from caffe_compat import LabelNoiseLoss
from caffe_compat.label_noise import mean_over_ranks

RANKS, ROWS, CLASSES, FEATURES = 2, 5, 4, 6  # rows on each rank
NOISY = {  # of rank 0, then of rank 1
    "even": [0, 3, 1, 2, 2] + [1, 1, 0, 3, 2],
    "uneven": [-1, -1, 2, -1, -1] + [1, 3, 0, -1, 2],
    "nothing on rank 1": [2, 0, -1, 1, 3] + [-1] * 5,
    "nothing at all": [-1] * 10,
}
CLEAN = torch.tensor([1, -1, -1, 3, -1] + [-1, -1, -1, -1, 2])


def model_and_batch() -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(FEATURES, 7), nn.Tanh(), nn.Linear(7, CLASSES + 3)).double()
    return model, torch.randn(RANKS * ROWS, FEATURES, dtype=torch.float64)


def confusion() -> Tensor:
    C = torch.tensor([[0, 2, 1, 5], [1, 0, 1, 2], [4, 3, 0, 3], [5, 5, 8, 0]], dtype=torch.float64)
    return C / 10


def noise_loss(**options: str) -> LabelNoiseLoss:
    return LabelNoiseLoss(confusion(), **options).double()


def on_a_rank(rank: int, folder: str) -> None:
    """Writes the losses and gradients of each case."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=RANKS)
    loss, results = noise_loss(reduction="sum"), {}
    mine = slice(rank * ROWS, (rank + 1) * ROWS)
    for name, labels in NOISY.items():
        for normalization in ("batch", "labelled"):
            model, images = model_and_batch()
            shared = DistributedDataParallel(model)
            scores = shared(images[mine])
            noisy, clean = torch.tensor(labels)[mine], CLEAN[mine]
            sums = loss(scores[:, :CLASSES], scores[:, CLASSES:], noisy), summed(scores, clean)
            rows = [len(noisy), len(clean)] if normalization == "batch" else [(noisy >= 0).sum(), (clean >= 0).sum()]
            losses = mean_over_ranks(torch.stack(sums), torch.tensor(rows))
            losses.sum().backward()
            results[name, normalization] = losses.detach(), [param.grad for param in model.parameters()]
    torch.save(results, Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


def summed(scores: Tensor, clean: Tensor) -> Tensor:
    return F.cross_entropy(scores[:, :CLASSES], clean, ignore_index=-1, reduction="sum")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.spawn(on_a_rank, (str(folder),), nprocs=RANKS)
    return [torch.load(folder / f"{rank}.pt") for rank in range(RANKS)]


@pytest.mark.parametrize("normalization", ["batch", "labelled"])
@pytest.mark.parametrize("name", NOISY)
def test_gradients_are_those_of_the_whole_batch(name: str, normalization: str, ranks: list[dict]) -> None:
    model, images = model_and_batch()
    scores, noisy = model(images), torch.tensor(NOISY[name])
    noise = noise_loss(normalization=normalization)(scores[:, :CLASSES], scores[:, CLASSES:], noisy)
    clean = summed(scores, CLEAN) / (len(CLEAN) if normalization == "batch" else 3)
    (noise + clean).backward()
    losses = torch.stack([rank[name, normalization][0] for rank in ranks])
    torch.testing.assert_close(losses.mean(0), torch.stack([noise, clean]).detach(), rtol=1e-12, atol=1e-12)
    for rank in ranks:
        for param, grad in zip(model.parameters(), rank[name, normalization][1], strict=True):
            torch.testing.assert_close(grad, param.grad, rtol=1e-12, atol=1e-12)


def test_in_one_process_it_is_the_mean() -> None:
    total = torch.tensor([6.0, 5.0, 0.0], requires_grad=True)
    rows = torch.tensor([4, 2, 0])
    assert mean_over_ranks(total, rows).tolist() == [1.5, 2.5, 0.0]
    assert mean_over_ranks(total, 2).tolist() == [3.0, 2.5, 0.0]
    assert rows.tolist() == [4, 2, 0], "not changed"
