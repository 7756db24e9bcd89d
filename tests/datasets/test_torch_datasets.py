"""A data folder as PyTorch datasets: the records that were written, in reading order, in any process."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from databases import pixels, write_images, write_labels
from torch.utils.data import DataLoader

from caffe_compat.data.datum import encode_datum, encoded_datum, label_datum
from caffe_compat.data.lmdb_store import write_database
from caffe_compat.datasets import layout
from caffe_compat.datasets.mixing import Mix, write_mix
from caffe_compat.datasets.samples import Samples
from caffe_compat.datasets.torch_datasets import LabelledDataset, MixedDataset, MixedRecord
from caffe_compat.errors import DataError

PATHS = ["a/1.jpg", "a_b/2,3.jpg", "c.jpg", "d.jpg", "e.jpg"]
SAMPLES = Samples.of(PATHS, clean=[2, 0, -1, -1, -1], noisy=[1, -1, 3, 0, 2], noise_type=[2, 0, -1, -1, -1])
ORDER = np.array([3, 0, 4, 0, 2, 1, 0])
IMAGES = pixels(len(PATHS))  # BGR


def make_folder(folder: Path, materialise: bool = False) -> Path:
    folder.mkdir()
    write_mix(folder, Mix(SAMPLES, ORDER), lambda path: encode_datum(IMAGES[PATHS.index(path)]), materialise)
    return folder


def check_record(record: MixedRecord, sample: int) -> None:
    assert record.image.dtype == torch.uint8
    assert np.array_equal(record.image, IMAGES[sample][[2, 1, 0]]), "RGB"
    wanted = SAMPLES.clean[sample], SAMPLES.noisy[sample], SAMPLES.noise_type[sample], PATHS[sample]
    assert record[1:] == wanted


@pytest.mark.parametrize("materialise", [False, True])
def test_records_in_reading_order(materialise: bool, tmp_path: Path) -> None:
    mixed = MixedDataset(make_folder(tmp_path / "data", materialise))
    assert len(mixed) == len(ORDER)
    for place, sample in enumerate(ORDER):
        check_record(mixed[place], sample)
    check_record(mixed[-1], ORDER[-1])
    with pytest.raises(IndexError):
        mixed[len(ORDER)]
    assert np.array_equal(mixed.clean, SAMPLES.clean[ORDER])
    assert np.array_equal(mixed.noisy, SAMPLES.noisy[ORDER])
    assert np.array_equal(mixed.noise_type, SAMPLES.noise_type[ORDER])
    assert np.array_equal(mixed.positions, np.arange(len(ORDER)) if materialise else ORDER)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_of_a_loader(workers: int, tmp_path: Path) -> None:
    mixed = MixedDataset(make_folder(tmp_path / "data"))
    check_record(mixed[0], ORDER[0])  # opens the database here, before the workers start
    images, clean, noisy, noise_type, keys = zip(*DataLoader(mixed, batch_size=3, num_workers=workers), strict=True)
    assert [len(batch) for batch in images] == [3, 3, 1]
    assert torch.equal(torch.cat(images), torch.from_numpy(IMAGES[ORDER][:, [2, 1, 0]]))
    for column, wanted in ((clean, SAMPLES.clean), (noisy, SAMPLES.noisy), (noise_type, SAMPLES.noise_type)):
        assert torch.equal(torch.cat(column), torch.from_numpy(wanted[ORDER])) and column[0].dtype == torch.int64
    assert [key for batch in keys for key in batch] == [PATHS[sample] for sample in ORDER]


def test_sent_to_another_process(tmp_path: Path) -> None:
    mixed = MixedDataset(make_folder(tmp_path / "data"))
    check_record(mixed[1], ORDER[1])
    check_record(pickle.loads(pickle.dumps(mixed))[2], ORDER[2])


def test_transform(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "data")
    plain, mixed = MixedDataset(folder), MixedDataset(folder, lambda image: image.float() / 255)
    assert torch.equal(mixed[4].image, plain[4].image / 255)
    labelled = LabelledDataset(folder / layout.MIXED_IMAGES, lambda image: image.shape)
    assert labelled[0].image == (3, 5, 7)


def test_labelled_images(tmp_path: Path) -> None:
    data = LabelledDataset(write_images(tmp_path / "db", IMAGES))
    assert len(data) == len(IMAGES)
    for n, (image, label, key) in enumerate(data):
        assert np.array_equal(image, IMAGES[n][::-1]) and label == n and key == f"{n}.png"


def test_an_encoded_image_is_rgb_and_a_raw_gray_one_stays_gray(tmp_path: Path) -> None:
    colour, gray = IMAGES[0].transpose(1, 2, 0), IMAGES[1][:1]
    png = cv2.imencode(".png", colour)[1].tobytes()
    write_database(tmp_path / "db", [(b"0", encoded_datum(png, 4)), (b"1", encode_datum(gray, 5))])
    data = LabelledDataset(tmp_path / "db")
    assert np.array_equal(data[0].image, IMAGES[0][::-1]) and data[0].key == "0"
    assert np.array_equal(data[1].image, gray)


def test_an_image_that_cannot_be_read_is_named_by_a_worker_too(tmp_path: Path) -> None:
    write_database(tmp_path / "db", [(b"00000000_x.jpg", encoded_datum(b"no image", 0))])
    for workers in (0, 1):
        with pytest.raises(DataError, match="record 00000000_x.jpg: not a readable image"):
            next(iter(DataLoader(LabelledDataset(tmp_path / "db"), num_workers=workers)))


def relabel(folder: Path, name: str, labels: list[float]) -> None:
    for file in (folder / name).iterdir():
        file.unlink()
    (folder / name).rmdir()
    write_labels(folder / name, labels)


def test_labels_that_are_not_labels(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "data")
    relabel(folder, layout.MIXED_NOISY_LABELS, [0, 1, 2, 1.5, 0, 0, 0])
    with pytest.raises(DataError, match=r"mixed_noisy_labels_lmdb: record 00000003: .* >= -1, got 1.5"):
        MixedDataset(folder)
    relabel(folder, layout.MIXED_NOISY_LABELS, [0, 1, -2, 0, 0, 0, 0])
    with pytest.raises(DataError, match=r"record 00000002: .*got -2"):
        MixedDataset(folder)


def test_an_image_database_in_place_of_a_label_database(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "data")
    relabel(folder, layout.MIXED_CLEAN_LABELS, [0])
    with pytest.raises(DataError, match="expected 7 records as in .*mixed_index.npy, got 1"):
        MixedDataset(folder)
    for file in (folder / layout.MIXED_CLEAN_LABELS).iterdir():
        file.unlink()
    (folder / layout.MIXED_CLEAN_LABELS).rmdir()
    write_images(folder / layout.MIXED_CLEAN_LABELS, IMAGES)
    with pytest.raises(DataError, match="mixed_clean_labels_lmdb: expected a label database"):
        MixedDataset(folder)


def test_databases_that_were_not_made_together(tmp_path: Path) -> None:
    folder, other = make_folder(tmp_path / "data"), tmp_path / "other"
    other.mkdir()
    write_mix(other, Mix(SAMPLES, ORDER[::-1]), lambda path: label_datum(0))
    (folder / layout.MIXED_NTYPE_LABELS).rename(tmp_path / "old")
    (other / layout.MIXED_NTYPE_LABELS).rename(folder / layout.MIXED_NTYPE_LABELS)
    with pytest.raises(DataError, match="belong to one group .* do not match: their records are in different orders"):
        MixedDataset(folder)


def test_a_folder_without_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="mixed_images_lmdb: no LMDB database there"):
        MixedDataset(tmp_path)
