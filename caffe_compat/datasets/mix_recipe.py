"""The choices in which the paper and its authors' release differ when a training set is mixed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MixRecipe:
    """How clean and noisy samples come together.

    Attributes:
        clean_ratio: clean records per noisy one, drawn with replacement; 0: each clean sample once.
        noisy_labels_of_clean: clean samples keep their noisy labels in the mixed set, and so count in the noisy loss
            too; otherwise they carry -1 there.
        confusion_from_val: C is estimated from validation samples as well as training samples.
    """

    clean_ratio: float
    noisy_labels_of_clean: bool
    confusion_from_val: bool = False
