"""What calibrate_scores gains from so many labels looked at: the calibration error of p(wrong) on all other images.

The scores' records whose truth is known stand for a data set in which somebody looks at a random sample. Ten samples of
each size.

    python scripts/calibration_by_sample.py --scores labels.parquet --out calibration.json
"""

import argparse
import json
from pathlib import Path

import numpy as np

from caffe_compat.evaluation.label_quality.calibration import fit_calibration
from caffe_compat.evaluation.label_quality.known_truth import require_known_truth
from caffe_compat.evaluation.label_quality.scores_file import read_scores
from caffe_compat.evaluation.metrics import expected_calibration_error, reliability
from caffe_compat.files import atomic_path
from caffe_compat.machine import machine, versions

SIZES, SAMPLES = (100, 200, 500, 1000), 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scores", required=True, help="of score_labels --truth")
    parser.add_argument(
        "--by", help="scores of validation images by the same net: what calibrating by these gives, too"
    )
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    args = parser.parse_args()
    known = require_known_truth(read_scores(args.scores))
    q_noisy, wrong = known.columns["q_noisy"], known.is_wrong
    p_wrong = known.columns["p_wrong"]
    result = {"records": len(wrong), "share wrong": round(float(wrong.mean()), 4)}
    result["as it is"] = {"calibration error": error(p_wrong, wrong), "mean p(wrong)": round(float(p_wrong.mean()), 4)}
    result["calibrated by"] = {str(size): summary(q_noisy, wrong, size) for size in SIZES}
    if args.by:
        others = require_known_truth(read_scores(args.by))
        fit = fit_calibration(others.columns["q_noisy"], others.is_wrong, of_scored_images=False)
        calibrated = fit.p_wrong(q_noisy)
        result["calibrated by other images"] = {
            "images": fit.images,
            "calibration error": error(calibrated, wrong),
            "mean p(wrong)": round(float(calibrated.mean()), 4),
        }
    with atomic_path(args.out) as part:
        part.write_text(json.dumps(result | {"machine": machine(), "versions": versions()}, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def summary(q_noisy: np.ndarray, wrong: np.ndarray, size: int) -> dict[str, float]:
    """Over the samples: error on the records that are not in the sample, and their mean p(wrong)."""
    errors, means, refused = [], [], 0
    for seed in range(SAMPLES):
        order = np.random.default_rng(seed).permutation(len(wrong))
        sample, others = order[:size], order[size:]
        try:
            p_wrong = fit_calibration(q_noisy[sample], wrong[sample]).p_wrong(q_noisy[others])
        except ValueError:  # no better for it, as far as the sample can tell
            p_wrong, refused = (1 - q_noisy[others]), refused + 1
        errors.append(error(p_wrong, wrong[others]))
        means.append(float(p_wrong.mean()))
    return {
        "samples": SAMPLES,
        "left as it was": refused,
        "calibration error, mean": round(float(np.mean(errors)), 4),
        "calibration error, largest": max(errors),
        "mean p(wrong), mean": round(float(np.mean(means)), 4),
        "mean p(wrong), deviation": round(float(np.std(means, ddof=1)), 4),
    }


def error(p_wrong: np.ndarray, wrong: np.ndarray) -> float:
    return round(expected_calibration_error(reliability(p_wrong, wrong)), 4)


if __name__ == "__main__":
    main()
