"""Databases that belong together."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from caffe_compat.data.group import Group, SourceInfo, check_databases, describe, read_group, side_file, write_group
from caffe_compat.errors import DataError

PATHS = ["images/0/00/1,2.jpg", "b c.jpg", "d.jpg"]


def source(name: str, group: Group | None, records: int | None = None) -> SourceInfo:
    return SourceInfo(name, group.records if records is None and group else records or 3, group)


def test_a_group_is_described_by_its_paths_in_order() -> None:
    expected = hashlib.sha256(b"images/0/00/1,2.jpg\nb c.jpg\nd.jpg\n").hexdigest()
    assert describe("g", PATHS) == Group("g", 3, expected)
    assert describe("g", PATHS[::-1]).paths_sha256 != expected
    assert describe("g", ["ab", "c"]).paths_sha256 != describe("g", ["a", "bc"]).paths_sha256


def test_side_files(tmp_path: Path) -> None:
    path = side_file(tmp_path)
    assert path.parent == tmp_path and side_file("db", tmp_path / "mix.npy") == tmp_path / "mix.npy.group.json"
    assert read_group(path) is None
    write_group(path, describe("g", PATHS))
    assert read_group(path) == describe("g", PATHS)


@pytest.mark.parametrize("text", ["", "[]", '{"group": "g"}', '{"group": "g", "records": "x", "paths_sha256": ""}'])
def test_a_broken_side_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "group.json").write_text(text)
    with pytest.raises(DataError, match="not a group side file") as raised:
        read_group(tmp_path / "group.json")
    assert raised.value.path == str(tmp_path / "group.json")


def test_equal_databases_pass_silently(caplog: pytest.LogCaptureFixture) -> None:
    group = describe("g", PATHS)
    check_databases([source("images", group), source("clean", group), source("other", describe("h", "abc"))])
    assert not caplog.messages


def test_different_orders_are_refused() -> None:
    reversed_order = source("clean", describe("g", PATHS[::-1]))
    with pytest.raises(DataError) as raised:
        check_databases([source("images", describe("g", PATHS)), reversed_order], "n.prototxt")
    text = str(raised.value)
    assert text.startswith("n.prototxt: ") and '"images"' in text and '"clean"' in text and "different orders" in text


def test_different_lengths_are_refused() -> None:
    with pytest.raises(DataError, match='"images" and "clean".*first has 3 records, the second 2'):
        check_databases([source("images", describe("g", PATHS)), source("clean", describe("g", PATHS[:2]))])


def test_a_database_changed_since_is_refused() -> None:
    with pytest.raises(DataError, match='"images": expected 3 records, as its side file says, got 4'):
        check_databases([source("images", describe("g", PATHS), records=4)])


def test_other_lengths_are_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", "caffe_compat")
    check_databases([source("a", None, 3), source("b", None, 4), source("c", None, 5)], "n.prototxt")
    assert len(caplog.messages) == 1
    assert "n.prototxt: databases of different lengths" in caplog.messages[0] and "b (4 records)" in caplog.messages[0]


def test_equal_lengths_without_side_files_pass(caplog: pytest.LogCaptureFixture) -> None:
    check_databases([source("a", None, 3), source("b", None, 3)])
    assert not caplog.messages
