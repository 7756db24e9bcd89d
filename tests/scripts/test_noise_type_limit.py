"""scripts/noise_type_limit.py on types whose predictability is known."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def limit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("noise_type_limit", REPOSITORY / "scripts/noise_type_limit.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entropy(p: torch.Tensor) -> float:
    return float(torch.special.entr(p).sum(-1).mean())


def test_knowing_nothing_leaves_the_entropy_of_the_frequencies(limit: ModuleType):
    types = torch.tensor([0] * 600 + [1] * 250 + [2] * 150)
    scores = limit.held_out_scores(torch.zeros(1000, 1), types, 1e-2)
    assert limit.log_loss(scores, types) == pytest.approx(entropy(types.bincount() / 1000), abs=0.01)


def test_the_class_tells_what_it_tells(limit: ModuleType):
    torch.manual_seed(0)
    of_class = torch.tensor([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4]])
    classes = torch.arange(6000) % 3
    types = torch.multinomial(of_class[classes], 1)[:, 0]
    scores = limit.held_out_scores(torch.eye(3)[classes], types, 1e-3)
    assert limit.log_loss(scores, types) == pytest.approx(entropy(of_class), abs=0.02)
    assert limit.log_loss(scores, types) < entropy(types.bincount() / 6000) - 0.1


def test_what_is_unrelated_does_not_help_on_held_out_images(limit: ModuleType):
    torch.manual_seed(0)
    types = torch.multinomial(torch.tensor([0.6, 0.25, 0.15]), 300, replacement=True)
    scores = limit.held_out_scores(torch.randn(300, 30), types, 1e-3)
    assert limit.log_loss(scores, types) > entropy(types.bincount() / 300)
