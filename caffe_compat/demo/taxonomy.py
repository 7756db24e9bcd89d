"""The fourteen kinds of clothes and which of them are mistaken for which."""

from __future__ import annotations

import numpy as np

CLASS_NAMES = (
    "T-Shirt", "Shirt", "Knitwear", "Chiffon", "Sweater", "Hoodie", "Windbreaker",
    "Jacket", "Downcoat", "Suit", "Shawl", "Dress", "Vest", "Underwear",
)  # fmt: skip
NUM_CLASSES = len(CLASS_NAMES)

# Of each true class: the classes it is taken for, and how often. Every share lies above 1 / (L - 1) = 0.077, so that
# these are the entries an estimate of the matrix should keep.
LOOK_ALIKES: dict[str, dict[str, float]] = {
    "T-Shirt": {"Vest": 0.5, "Chiffon": 0.3, "Sweater": 0.2},
    "Shirt": {"Chiffon": 0.6, "Jacket": 0.4},
    "Knitwear": {"Sweater": 0.6, "Shawl": 0.25, "Hoodie": 0.15},
    "Chiffon": {"Shirt": 0.5, "Dress": 0.3, "T-Shirt": 0.2},
    "Sweater": {"Knitwear": 0.6, "Hoodie": 0.4},
    "Hoodie": {"Sweater": 0.4, "Windbreaker": 0.35, "Jacket": 0.25},
    "Windbreaker": {"Jacket": 0.55, "Hoodie": 0.25, "Downcoat": 0.2},
    "Jacket": {"Windbreaker": 0.5, "Suit": 0.3, "Downcoat": 0.2},
    "Downcoat": {"Windbreaker": 0.5, "Jacket": 0.5},
    "Suit": {"Jacket": 0.7, "Shirt": 0.3},
    "Shawl": {"Knitwear": 0.5, "Dress": 0.25, "Chiffon": 0.25},
    "Dress": {"Chiffon": 0.6, "Underwear": 0.2, "Shawl": 0.2},
    "Vest": {"T-Shirt": 0.6, "Underwear": 0.4},
    "Underwear": {"Vest": 0.65, "Dress": 0.35},
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
