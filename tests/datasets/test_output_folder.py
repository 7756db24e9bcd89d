"""Output folders appear whole; replacing one leaves strangers' files alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe_compat.datasets import layout
from caffe_compat.datasets.output_folder import output_folder
from caffe_compat.errors import DataError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_folder_appears_when_it_is_done(tmp_path: Path) -> None:
    with output_folder(tmp_path / "data" / "new") as part:
        (part / "names.txt").write_text("a")
        assert not (tmp_path / "data" / "new").exists()
    assert names(tmp_path / "data") == ["new"]
    assert names(tmp_path / "data" / "new") == ["names.txt"]


@pytest.mark.parametrize("force", [False, True])
def test_nothing_stays_of_a_failure(tmp_path: Path, force: bool) -> None:
    if force:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "names.txt").write_text("old")
    with pytest.raises(RuntimeError), output_folder(tmp_path / "out", force) as part:
        (part / "names.txt").write_text("new")
        raise RuntimeError
    assert names(tmp_path) == (["out"] if force else [])
    if force:
        assert (tmp_path / "out" / "names.txt").read_text() == "old"


def test_an_existing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="exists already; --force replaces what this command makes in it"):
        with output_folder(tmp_path):
            pass


def test_a_file_in_the_way_is_refused_even_with_force(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(DataError, match="exists and is not a folder"):
        with output_folder(tmp_path / "out", force=True):
            pass


def test_force_replaces_data_files_only(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name in (layout.CLEAN_TRAIN, layout.NTYPE_TEST, "my_lmdb"):
        (out / name).mkdir(parents=True)
        (out / name / "data.mdb").write_text("old")
    for name in (layout.MIXED_INDEX, layout.MIXED_INDEX + ".group.json", layout.TRUE_CONFUSION, "clean.caffemodel"):
        (out / name).write_text("old")
    with output_folder(out, force=True) as part:
        (part / layout.CLEAN_TRAIN).mkdir()
        (part / layout.CLEAN_TRAIN / "data.mdb").write_text("new")
    assert names(out) == ["clean.caffemodel", layout.CLEAN_TRAIN, "my_lmdb"]
    assert (out / layout.CLEAN_TRAIN / "data.mdb").read_text() == "new"
    assert names(tmp_path) == ["out"]


def test_a_part_of_the_data_files_can_be_replaced(tmp_path: Path) -> None:
    for name in (layout.NAMES, layout.MIXED_INDEX, layout.MEAN):
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / name).write_text("old")
    with output_folder(tmp_path / "out", force=True, replaces=layout.MIXED_SET):
        pass
    assert names(tmp_path / "out") == sorted([layout.NAMES, layout.MEAN])
