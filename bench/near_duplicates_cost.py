"""What remove_near_duplicates costs as the lists grow: processor time of each step, memory, and whether it still finds.

    python bench/near_duplicates_cost.py out/near_duplicates_cost

Draws pictures of 256 x 256 (smooth colours under six polygons: no two alike), one clean for twenty noisy ones, as
Clothing1M has them; one noisy picture in a hundred is a clean one, smaller and saved at quality 60. 2 GB for 200,000.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
from process_cost import process_cost

from caffe_compat.datasets.workers import Rate, in_processes
from caffe_compat.machine import machine, versions

SIDE, POLYGONS, QUALITY = 256, 6, 85
NOISY_PER_CLEAN, PLANTED_EVERY = 20, 100
IN_A_FOLDER = 1000

Image = np.ndarray


def drawn(rng: np.random.Generator) -> Image:
    ground = rng.integers(0, 256, (*rng.integers(3, 9, 2), 3), dtype=np.uint8)
    image = cv2.resize(ground, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    for _ in range(POLYGONS):
        corners = rng.integers(0, SIDE, (rng.integers(3, 8), 2)).astype(np.int32)
        cv2.fillPoly(image, [corners], rng.integers(0, 256, 3).tolist(), cv2.LINE_AA)
    return image


def draw_file(job: tuple[str, int, bool]) -> int:
    """Draw the picture of this number, or the smaller copy of it. Worker processes run this."""
    path, number, smaller = job
    image, quality = drawn(np.random.default_rng(number)), QUALITY
    if smaller:
        image, quality = cv2.resize(image, (200, 200), interpolation=cv2.INTER_AREA), 60
    if not cv2.imwrite(path, image, (cv2.IMWRITE_JPEG_QUALITY, quality)):
        raise OSError(f"{path}: cannot be written")
    return number


def draw_all(folder: Path, noisy: int, processes: int) -> tuple[list[str], list[str]]:
    """Draw every clean and noisy picture; returns their paths, planted copies among the noisy ones."""
    clean = noisy // NOISY_PER_CLEAN
    jobs = [(_path(folder, "clean", number), number, False) for number in range(clean)]
    for number in range(noisy):
        is_copy = number % PLANTED_EVERY == 0
        source = number // PLANTED_EVERY if is_copy else clean + number
        jobs.append((_path(folder, "noisy", number), source, is_copy))
    for path in {Path(job[0]).parent for job in jobs}:
        path.mkdir(parents=True, exist_ok=True)
    rate = Rate("Drew", len(jobs), "pictures")
    for _ in in_processes(draw_file, jobs, processes):
        rate.add(1)
    return [job[0] for job in jobs[:clean]], [job[0] for job in jobs[clean:]]


def _path(folder: Path, kind: str, number: int) -> str:
    return str(folder / kind / str(number // IN_A_FOLDER) / f"{number}.jpg")


def measured(out: Path, clean: list[str], noisy: list[str], processes: int) -> dict[str, float]:
    """One run of the command line, its hashes made anew."""
    folder = out / f"run_{len(noisy)}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, paths in (("clean.txt", clean), ("noisy.txt", noisy)):
        (folder / name).write_text("".join(f"{path} 0\n" for path in paths))
    tool = ["tools/remove_near_duplicates.py", "--processes", str(processes)]
    lists = ["--clean", str(folder / "clean.txt"), "--clean_root", "", "--noisy", str(folder / "noisy.txt")]
    cost = process_cost([*tool, *lists, "--noisy_root", "", "--out", str(folder / "found")])
    report = json.loads((folder / "found/report.json").read_text())
    planted = len(noisy) // PLANTED_EVERY
    return {
        "clean": len(clean),
        "noisy": len(noisy),
        **{f"{step}_seconds": seconds for step, seconds in report["seconds"].items()},
        **cost,
        "candidates": report["candidates"],
        "planted": planted,
        "dropped": report["dropped"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for pictures, lists and result.json")
    parser.add_argument("--sizes", type=int, nargs="+", default=[12_500, 50_000, 200_000], help="noisy pictures")
    parser.add_argument("--processes", type=int, default=1, help="that draw, hash and compare")
    args = parser.parse_args()
    clean, noisy = draw_all(args.out / "pictures", max(args.sizes), args.processes)
    runs = []
    for size in sorted(args.sizes):
        runs.append(measured(args.out, clean[: size // NOISY_PER_CLEAN], noisy[:size], args.processes))
        print(json.dumps(runs[-1]), flush=True)
    result = {"processes": args.processes, "runs": runs, "machine": machine(), "versions": versions()}
    (args.out / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
