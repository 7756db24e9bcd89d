"""The fourteen kinds of clothes and which of them are mistaken for which."""

from __future__ import annotations

import numpy as np

CLASS_NAMES = (
    "T-Shirt", "Shirt", "Knitwear", "Chiffon", "Sweater", "Hoodie", "Windbreaker",
    "Jacket", "Downcoat", "Suit", "Shawl", "Dress", "Vest", "Underwear",
)  # fmt: skip
NUM_CLASSES = len(CLASS_NAMES)

# Of each true class: the classes it is taken for, and how often. Few and large shares, as the paper has it ("sparse"):
# what lies much nearer to 1 / (L - 1) = 0.077 cannot be told from pure random noise with a few thousand samples.
LOOK_ALIKES: dict[str, dict[str, float]] = {
    "T-Shirt": {"Vest": 0.4, "Chiffon": 0.3, "Sweater": 0.3},
    "Shirt": {"Chiffon": 0.6, "Jacket": 0.4},
    "Knitwear": {"Sweater": 0.6, "Shawl": 0.4},
    "Chiffon": {"Shirt": 0.4, "Dress": 0.3, "T-Shirt": 0.3},
    "Sweater": {"Knitwear": 0.6, "Hoodie": 0.4},
    "Hoodie": {"Sweater": 0.4, "Windbreaker": 0.3, "Jacket": 0.3},
    "Windbreaker": {"Jacket": 0.4, "Hoodie": 0.3, "Downcoat": 0.3},
    "Jacket": {"Windbreaker": 0.4, "Suit": 0.3, "Downcoat": 0.3},
    "Downcoat": {"Windbreaker": 0.5, "Jacket": 0.5},
    "Suit": {"Jacket": 0.7, "Shirt": 0.3},
    "Shawl": {"Knitwear": 0.4, "Dress": 0.3, "Chiffon": 0.3},
    "Dress": {"Chiffon": 0.4, "Shawl": 0.3, "Underwear": 0.3},
    "Vest": {"T-Shirt": 0.6, "Underwear": 0.4},
    "Underwear": {"Vest": 0.6, "Dress": 0.4},
}


def true_confusion() -> np.ndarray:
    """The matrix the noisy labels are drawn from.

    Returns: float64 (L, L) indexed [noisy, true]; zero diagonal, columns sum to 1.
    """
    matrix = np.zeros((NUM_CLASSES, NUM_CLASSES))
    for true_name, shares in LOOK_ALIKES.items():
        for noisy_name, share in shares.items():
            matrix[CLASS_NAMES.index(noisy_name), CLASS_NAMES.index(true_name)] = share
    return matrix
