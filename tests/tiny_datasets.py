"""Tiny data sets in the layouts the importers read, and reading back what they write."""

import pickle
import struct
from pathlib import Path

import cv2
import numpy as np
import torch

from caffe_compat.data.datum import decode_datum, parse_datum
from caffe_compat.data.lmdb_store import LmdbReader

HUMAN_COLUMNS = ("aggre", "random1", "random2", "random3", "worse")


def keys_of(database: Path) -> list[str]:
    keys = LmdbReader(database).keys()
    return [keys[position].decode() for position in range(len(keys))]


def paths_of(database: Path) -> list[str]:
    """The paths in the keys of an image database, which have to count from 0."""
    numbers, paths = zip(*(key.split("_", 1) for key in keys_of(database)), strict=True)
    assert numbers == tuple(f"{number:08d}" for number in range(len(paths)))
    return list(paths)


def images_of(database: Path) -> tuple[list[np.ndarray], list[int]]:
    """The decoded images of a database and their labels, in key order."""
    reader = LmdbReader(database)
    datums = [parse_datum(reader.read(position)) for position in range(len(reader))]
    return [decode_datum(datum) for datum in datums], [datum.label for datum in datums]


def labels_of(database: Path) -> list[int]:
    """The labels of a label database, which has to look as Caffe's convert_labelset writes it."""
    reader = LmdbReader(database)
    assert keys_of(database) == [f"{number:08d}" for number in range(len(reader))]
    datums = [parse_datum(reader.read(position)) for position in range(len(reader))]
    assert all((d.channels, d.height, d.width, len(d.float_data)) == (1, 1, 1, 1) for d in datums)
    return [int(datum.float_data[0]) for datum in datums]


def write_plain_image(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (8, 8)) -> None:
    """A lossless image file of one BGR colour, size (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done, buffer = cv2.imencode(".png", np.full((*size, 3), colour, np.uint8))
    assert done
    path.write_bytes(buffer.tobytes())  # whatever the name's suffix: OpenCV reads by content


def cifar_labels(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Clean labels in turn, and five sets of human labels."""
    rng = np.random.default_rng(seed)
    clean = np.arange(count) % 10
    human = {name: np.where(rng.random(count) < 0.4, rng.integers(0, 10, count), clean) for name in HUMAN_COLUMNS}
    return {"clean": clean, **human}


def write_cifar_csv(root: Path, train: int = 60, test: int = 10) -> dict[str, np.ndarray]:
    """train.csv, test.csv and images/; image number i is of the colour (i, 2 i, 3 i). Returns the training labels."""
    labels = cifar_labels(train)
    root.mkdir()
    with open(root / "train.csv", "w") as file:
        print("file", *labels, sep=",", file=file)
        for i in range(train):
            print(f"train/{i:05d}.jpg", *(column[i] for column in labels.values()), sep=",", file=file)
            write_plain_image(root / f"images/train/{i:05d}.jpg", (i, 2 * i, 3 * i), (32, 32))
    with open(root / "test.csv", "w") as file:
        print("file,clean", file=file)
        for i in range(test):
            print(f"test/{i % 10}_{i:04d}.jpg,{i % 10}", file=file)
            write_plain_image(root / f"images/test/{i % 10}_{i:04d}.jpg", (i, 7, 9), (32, 32))
    return labels


def write_cifar_pickles(root: Path, per_batch: int = 12) -> dict[str, np.ndarray]:
    """The original files with a few images each: RGB planes of 3 i, 2 i and i, i the image's number."""
    labels = cifar_labels(5 * per_batch)
    root.mkdir(parents=True)
    for batch in range(6):
        name = f"data_batch_{batch + 1}" if batch < 5 else "test_batch"
        numbers = np.arange(per_batch) + (batch * per_batch if batch < 5 else 0)
        planes = [np.repeat(factor * numbers[:, None], 1024, axis=1) for factor in (3, 2, 1)]
        content = {
            b"batch_label": b"some batch",
            b"labels": [int(number % 10) for number in numbers],
            b"data": np.concatenate(planes, axis=1).astype(np.uint8),
            b"filenames": [b"%d.png" % number for number in numbers],
        }
        with open(root / name, "wb") as file:
            Python2Pickler(file, 2).dump(content)
    write_human_labels(root / "CIFAR-10_human.pt", labels)
    return labels


def write_human_labels(path: Path, labels: dict[str, np.ndarray], zipped: bool = True) -> None:
    """CIFAR-10N's file: a dictionary of numpy arrays, saved by torch."""
    named = {name.replace("random", "random_label"): column for name, column in labels.items()}
    named = {name if "label" in name else f"{name}_label": column for name, column in named.items()}
    torch.save(named, path, _use_new_zipfile_serialization=zipped)


class Python2Pickler(pickle._Pickler):
    """Writes byte strings as Python 2 did, and numpy's function under the name it had then."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_python2_string(self, text: bytes) -> None:
        self.write(pickle.BINSTRING + struct.pack("<i", len(text)) + text)
        self.memoize(text)

    dispatch[bytes] = save_python2_string

    def save_global(self, obj: object, name: str | None = None) -> None:
        if getattr(obj, "__name__", "") == "_reconstruct":
            self.write(pickle.GLOBAL + b"numpy.core.multiarray\n_reconstruct\n")
            self.memoize(obj)
        else:
            super().save_global(obj, name)

    dispatch[type(np.empty(0).__reduce__()[0])] = save_global


CLOTHING_NAMES = ("T-Shirt", "Shirt", "Knitwear", "Chiffon")


def clothing_key(number: int) -> str:
    """Keys as the real ones: folders, and a comma in the name."""
    return f"images/{number % 3}/{number % 7:02d}/{1000 + number},{2000 + number}.jpg"


def write_clothing1m(root: Path) -> None:
    """Numbers 0-19 train, 20-25 val, 26-31 test, 32-71 noisy; clean label i % 4; noisy labels for even clean numbers
    and all of noisy_train, see ``clothing_noisy``. Image i is of the colour (i, 0, 100)."""
    root.mkdir()
    lists = {"clean_train": range(20), "clean_val": range(20, 26), "clean_test": range(26, 32),
             "noisy_train": range(32, 72)}  # fmt: skip
    for name, numbers in lists.items():
        (root / f"{name}_key_list.txt").write_text("".join(f"{clothing_key(number)}\n" for number in numbers))
    (root / "category_names_eng.txt").write_text("".join(f"{name}\n" for name in CLOTHING_NAMES))
    clean = [f"{clothing_key(number)} {number % 4}\n" for number in range(32)]
    (root / "clean_label_kv.txt").write_text("".join(clean))
    noisy = [f"{clothing_key(n)} {clothing_noisy(n)}\n" for n in [*range(0, 32, 2), *range(32, 72)]]
    (root / "noisy_label_kv.txt").write_text("".join(noisy))
    for number in range(72):
        write_plain_image(root / clothing_key(number), (number, 0, 100), (20 + number, 30))


def clothing_noisy(number: int) -> int:
    """The noisy label of an image that has one: the next class where the number is a multiple of 3, otherwise the
    true one; for validation images the class before, so that C tells whether they were used."""
    return (number + (3 if 20 <= number < 26 else number % 3 == 0)) % 4


def clothing_number(path: str) -> int:
    """The image's number, from its path."""
    return int(path.rsplit("/", 1)[1].split(",")[0]) - 1000
