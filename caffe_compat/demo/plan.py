"""How many pictures a data folder gets. Worker processes import this: it stays light."""

from __future__ import annotations

from dataclasses import dataclass

from caffe_compat.datasets.clothing1m.lists import NOISY_TRAIN, TEST, TRAIN, VAL

MODEL, BEYOND_MODEL = "model", "beyond_model"


@dataclass(frozen=True)
class Plan:
    """How many pictures of which kind; everything drawn is a function of ``seed`` and the picture's number alone.

    Attributes:
        train_clean, val, test: pictures with both labels. train_noisy: pictures with the noisy label alone.
        size: height and width in pixels.
        noise: how labels go wrong: as the paper's model says (``demo.noise``), or beyond it.
    """

    train_clean: int
    train_noisy: int
    val: int
    test: int
    size: int
    seed: int = 0
    noise: str = MODEL

    def splits(self) -> list[str]:
        """The split of each picture, in the order of their numbers."""
        counts = {TRAIN: self.train_clean, VAL: self.val, TEST: self.test, NOISY_TRAIN: self.train_noisy}
        return [name for name, count in counts.items() for _ in range(count)]


PLANS = {
    "demo": Plan(train_clean=2500, train_noisy=10000, val=1000, test=2000, size=64),
    "clothing1m": Plan(train_clean=160, train_noisy=320, val=80, test=80, size=256),
}
