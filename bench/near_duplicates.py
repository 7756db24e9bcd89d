"""What remove_near_duplicates finds of known changes: shares found, and found by the fine hash alone.

    tools/make_demo_data.py --like clothing1m data/clothing1m
    python bench/near_duplicates.py data/clothing1m/raw out/near_duplicates

Every third of the first 300 pictures is changed in every way; the other pictures are put among the changed ones.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from caffe_compat.cli.remove_near_duplicates import main as remove_near_duplicates
from caffe_compat.datasets.near_duplicates.thresholds import Thresholds

QUALITY = 85
CLEAN, EVERY = 300, 3

Image = np.ndarray
Change = Callable[[Image, np.random.Generator], Image]


def resized(width: int, height: int) -> Change:
    return lambda image, rng: cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def cropped(share: float) -> Change:
    def change(image: Image, rng: np.random.Generator) -> Image:
        height, width = (int(size * (1 - share)) for size in image.shape[:2])
        top, left = rng.integers(0, image.shape[0] - height + 1), rng.integers(0, image.shape[1] - width + 1)
        return image[top : top + height, left : left + width]

    return change


def bordered(image: Image, rng: np.random.Generator) -> Image:
    edge = int(0.04 * image.shape[0])
    return cv2.copyMakeBorder(image, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(255, 255, 255))


def marked(image: Image, rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    place = (int(0.1 * width), int(0.55 * height))
    font = cv2.FONT_HERSHEY_SIMPLEX
    mark = cv2.putText(image.copy(), "www.shop.com", place, font, width / 280, (255, 255, 255), 2, cv2.LINE_AA)
    return cv2.addWeighted(mark, 0.6, image, 0.4, 0)


def valued(of_value: Callable[[np.ndarray], np.ndarray]) -> Change:
    return lambda image, rng: np.clip(of_value(image.astype(np.float64)), 0, 255).astype(np.uint8)


def same(image: Image, rng: np.random.Generator) -> Image:
    return image


def mirrored(image: Image, rng: np.random.Generator) -> Image:
    return image[:, ::-1]


def after(first: Change, second: Change) -> Change:
    return lambda image, rng: second(first(image, rng), rng)


CHANGES: dict[str, tuple[Change, int]] = {
    "quality 95": (same, 95),
    "quality 60": (same, 60),
    "quality 30": (same, 30),
    "128 x 128": (resized(128, 128), QUALITY),
    "384 x 384": (resized(384, 384), QUALITY),
    "64 x 64": (resized(64, 64), QUALITY),
    "256 x 200": (resized(256, 200), QUALITY),
    "mirrored": (mirrored, QUALITY),
    "mirrored, 128 x 128, quality 50": (after(mirrored, resized(128, 128)), 50),
    "40 grey levels brighter": (valued(lambda value: value + 40), QUALITY),
    "1.3 times as bright": (valued(lambda value: 1.3 * value), QUALITY),
    "gamma 0.7": (valued(lambda value: 255 * (value / 255) ** 0.7), QUALITY),
    "marked": (marked, QUALITY),
    "3% cropped": (cropped(0.03), QUALITY),
    "5% cropped": (cropped(0.05), QUALITY),
    "8% cropped": (cropped(0.08), QUALITY),
    "12% cropped": (cropped(0.12), QUALITY),
    "white border of 4%": (bordered, QUALITY),
    "marked, 5% cropped, quality 60": (after(cropped(0.05), marked), 60),
}


def plant(raw: Path, folder: Path) -> int:
    """Write clean.txt, noisy.txt and the noisy images into ``folder``; returns how many others are among them."""
    paths = sorted(raw.glob("images/*/*/*.jpg"))
    rng = np.random.default_rng(0)
    (folder / "noisy").mkdir(parents=True)
    noisy = []
    for number, (change, quality) in enumerate(CHANGES.values()):
        for source in range(0, CLEAN, EVERY):
            changed = change(cv2.imread(str(paths[source])), rng)
            cv2.imwrite(str(folder / f"noisy/{number}_{source}.jpg"), changed, (cv2.IMWRITE_JPEG_QUALITY, quality))
            noisy.append(f"{number}_{source}.jpg 0")
    for number, path in enumerate(paths[CLEAN:]):
        shutil.copy(path, folder / f"noisy/other_{number}.jpg")
        noisy.append(f"other_{number}.jpg 0")
    (folder / "noisy.txt").write_text("\n".join(noisy) + "\n")
    (folder / "clean.txt").write_text("".join(f"{path} 0\n" for path in paths[:CLEAN]))
    return len(paths) - CLEAN


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path, help="a folder of drawn pictures")
    parser.add_argument("out", type=Path, help="a new folder for everything")
    args = parser.parse_args()
    others = plant(args.raw, args.out)
    remove_near_duplicates([
        "--clean", f"{args.out}/clean.txt", "--clean_root", "", "--noisy", f"{args.out}/noisy.txt",
        "--noisy_root", f"{args.out}/noisy/", "--out", f"{args.out}/found",
    ])  # fmt: skip
    with open(args.out / "found/groups.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["side"] == "noisy"]
    found = Counter(row["key"].partition("_")[0] for row in rows)
    by_hash = Counter(row["key"].partition("_")[0] for row in rows if int(row["distance"]) <= Thresholds.fine)
    print("| change | found | by hash alone |\n|---|---|---|")
    planted = len(range(0, CLEAN, EVERY))
    for number, name in enumerate(CHANGES):
        shares = " | ".join(f"{100 * counts[str(number)] / planted:.0f}%" for counts in (found, by_hash))
        print(f"| {name} | {shares} |")
    print(f"wrongly dropped: {found['other']} of {others} others")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
