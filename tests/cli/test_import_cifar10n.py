"""tools/import_cifar10n.py through its command line."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from tiny_datasets import cifar_labels, images_of, labels_of, paths_of, write_cifar_csv, write_cifar_pickles

from caffe_compat.cli.import_cifar10n import main
from caffe_compat.datasets import layout
from caffe_compat.datasets.pairs import read_noise_types, read_pairs
from caffe_compat.datasets.truth import read_truth
from caffe_compat.label_noise.confusion import estimate_confusion
from caffe_compat.weights import read_blobproto_file

EVERYTHING = {
    layout.CLEAN_TRAIN, layout.TEST, layout.NTYPE_TRAIN, layout.NTYPE_VAL, layout.MIXED_IMAGES, layout.MIXED_INDEX,
    layout.MIXED_INDEX + ".group.json", layout.MIXED_CLEAN_LABELS, layout.MIXED_NOISY_LABELS, layout.MIXED_NTYPE_LABELS,
    layout.MIXED_TRUTH_LABELS, layout.MEAN, layout.CONFUSION, layout.CONFUSION_NPY, layout.PAIRS, layout.NOISE_TYPES,
    layout.NAMES, layout.TRUTH, layout.TRANSITION, layout.NOISE_TYPE_LOG_PRIOR,
    layout.CONFUSION_OF_ALL,
}  # fmt: skip


def import_(tmp_path: Path, *options: str) -> int:
    return main([str(tmp_path / "root"), str(tmp_path / "out"), "--clean", "20", *options])


@pytest.mark.parametrize("write", [write_cifar_csv, write_cifar_pickles])
def test_everything_the_nets_read(tmp_path: Path, write: object) -> None:
    write(tmp_path / "root")
    assert import_(tmp_path) == 0
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == EVERYTHING
    labels = cifar_labels(60)

    paths = paths_of(out / layout.CLEAN_TRAIN)
    images, stored_labels = images_of(out / layout.CLEAN_TRAIN)
    for path, image, label in zip(paths, images, stored_labels, strict=True):
        number = int(path[6:11])
        assert label == labels["clean"][number]
        assert image.shape == (3, 32, 32) and [channel[0, 0] for channel in image] == [number, 2 * number, 3 * number]
    assert images_of(out / layout.TEST)[1] == [i % 10 for i in range(len(images_of(out / layout.TEST)[1]))]

    truth = read_truth(out / layout.TRUTH, 10)
    assert {int(path[6:11]): label for path, label in truth.items()} == dict(enumerate(labels["clean"].tolist()))
    assert set(paths_of(out / layout.MIXED_IMAGES)) == truth.keys()

    estimate = estimate_confusion(labels["worse"][:20], labels["clean"][:20], 10)
    blob = read_blobproto_file(out / layout.CONFUSION)
    np.testing.assert_array_equal(blob, estimate.confusion.astype(np.float32)[None, None])
    of_all = estimate_confusion(labels["worse"], labels["clean"], 10).confusion
    blob = read_blobproto_file(out / layout.CONFUSION_OF_ALL)
    np.testing.assert_array_equal(blob, of_all.astype(np.float32)[None, None])
    counted = np.zeros((10, 10))
    for clean_label, noisy_label in zip(labels["clean"][:20], labels["worse"][:20], strict=True):
        counted[noisy_label, clean_label] += 1 / np.sum(labels["clean"][:20] == clean_label)
    np.testing.assert_allclose(read_blobproto_file(out / layout.TRANSITION)[0, 0], counted, atol=1e-6)
    shares = np.bincount(estimate.noise_types, minlength=3) + 1
    log_prior = read_blobproto_file(out / layout.NOISE_TYPE_LOG_PRIOR)
    np.testing.assert_allclose(log_prior, np.log(shares / shares.sum())[None, None, None], atol=1e-6)
    pairs = list(read_pairs(out / layout.PAIRS, 10))
    assert [(clean, noisy) for _, clean, noisy in pairs] == list(
        zip(labels["clean"][:20].tolist(), labels["worse"][:20].tolist(), strict=True)
    )
    types = read_noise_types(out / layout.NOISE_TYPES)
    assert [types[key] for key, *_ in pairs] == estimate.noise_types.tolist()
    typed = paths_of(out / layout.NTYPE_TRAIN) + paths_of(out / layout.NTYPE_VAL)
    typed_labels = images_of(out / layout.NTYPE_TRAIN)[1] + images_of(out / layout.NTYPE_VAL)[1]
    assert dict(zip(typed, typed_labels, strict=True)) == types

    index = np.load(out / layout.MIXED_INDEX)
    mixed = np.array([int(path[6:11]) for path in paths_of(out / layout.MIXED_IMAGES)])[index]
    clean = np.where(mixed < 20, labels["clean"][mixed], -1)
    noisy = np.where(mixed < 20, -1, labels["worse"][mixed])
    assert labels_of(out / layout.MIXED_CLEAN_LABELS) == clean.tolist()
    assert labels_of(out / layout.MIXED_NOISY_LABELS) == noisy.tolist()
    assert labels_of(out / layout.MIXED_TRUTH_LABELS) == np.maximum(clean, noisy).tolist()
    mean = read_blobproto_file(out / layout.MEAN)
    assert mean.shape == (1, 3, 32, 32)
    assert mean[0, :, 5, 5].tolist() == [29.5, 59, 88.5]  # over all 60 training images
    assert (out / layout.NAMES).read_text().split() == [
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ]  # fmt: skip


def test_options_reach_their_places(tmp_path: Path) -> None:
    write_cifar_csv(tmp_path / "root")
    assert import_(tmp_path, "--labels", "aggre", "--clean-split", "random", "--seed", "3", "--recipe", "paper",
                   "--clean_ratio", "1.5", "--no-noisy_labels_of_clean", "--materialise") == 0  # fmt: skip
    out = tmp_path / "out"
    numbers = [int(path[6:11]) for path in paths_of(out / layout.MIXED_IMAGES)]
    clean, noisy = labels_of(out / layout.MIXED_CLEAN_LABELS), labels_of(out / layout.MIXED_NOISY_LABELS)
    assert len(numbers) == 40 + 60 and not (out / layout.MIXED_INDEX).exists()
    aggre = cifar_labels(60)["aggre"]
    assert all(
        label == (aggre[number] if c < 0 else -1) for number, label, c in zip(numbers, noisy, clean, strict=True)
    )
    pairs = [int(key[6:11]) for key, *_ in read_pairs(out / layout.PAIRS, 10)]
    assert pairs != list(range(20))


def test_synthetic_noise_is_written_beside(tmp_path: Path) -> None:
    write_cifar_pickles(tmp_path / "root")
    (tmp_path / "root" / "CIFAR-10_human.pt").unlink()
    assert import_(tmp_path, "--synthetic_noise", "0.3", "--jpeg_quality", "75") == 0
    transition = np.load(tmp_path / "out" / layout.SYNTHETIC_NOISE)
    np.testing.assert_allclose(np.diag(transition), 0.7)
    assert {path.name for path in (tmp_path / "out").iterdir()} == EVERYTHING | {layout.SYNTHETIC_NOISE}


class Hostile:
    def __reduce__(self) -> tuple:
        return eval, ("open('ran', 'w')",)


@pytest.mark.parametrize("name", ["data_batch_4", "test_batch", "CIFAR-10_human.pt"])
def test_a_hostile_pickle_runs_nothing(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_cifar_pickles(tmp_path / "root")
    (tmp_path / "root" / name).write_bytes(pickle.dumps(Hostile()))
    assert import_(tmp_path) == 2
    assert f"{name}: not a pickle" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_an_existing_folder_needs_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_cifar_csv(tmp_path / "root")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "clean_iter_100.caffemodel").write_text("keep me")
    assert import_(tmp_path) == 2
    assert "out: exists already; --force replaces what this command makes in it" in capsys.readouterr().err
    assert import_(tmp_path, "--force") == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == EVERYTHING | {"clean_iter_100.caffemodel"}


@pytest.mark.parametrize(
    "options",
    [("--labels", "best"), ("--synthetic_noise", "1.5"), ("--jpeg_quality", "0"), ("--clean_ratio", "-1"),
     ("--labels", "aggre", "--synthetic_noise", "0.3"), ("--clean", "60")],
)  # fmt: skip
def test_wrong_usage(tmp_path: Path, options: tuple[str, ...]) -> None:
    write_cifar_csv(tmp_path / "root")
    assert import_(tmp_path, *options) == 2
    assert not (tmp_path / "out").exists()


def test_a_missing_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert import_(tmp_path) == 2
    assert capsys.readouterr().err.startswith(f"{tmp_path / 'root'}: expected train.csv, data_batch_1")
