"""tools/convert_labelset.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from databases import data_layer, records

from caffe_compat.cli.convert_labelset import main
from caffe_compat.data.datum import parse_datum
from caffe_compat.data.group import describe, read_group, side_file


@pytest.fixture
def list_path(tmp_path: Path) -> Path:
    path = tmp_path / "clean.txt"
    path.write_text("images/0/00/1,2.jpg 3\nimages/0/01/3,4 b.jpg -1\nc.jpg 0\n")
    return path


def test_labels_become_floats(list_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(list_path), str(tmp_path / "db")]) == 0
    found = records(tmp_path / "db")
    assert list(found) == [b"00000000", b"00000001", b"00000002"]
    for value, label in zip(found.values(), (3, -1, 0), strict=True):
        datum = parse_datum(value)
        assert {field.name for field, _ in datum.ListFields()} == {"channels", "height", "width", "float_data"}
        assert (datum.channels, datum.height, datum.width, list(datum.float_data)) == (1, 1, 1, [label])
    assert "Processed 3 files." in capsys.readouterr().err
    assert data_layer(tmp_path / "db", 3, tops=1)()[0].flatten().tolist() == [3, -1, 0]


def test_a_group_is_written_when_asked_for(list_path: Path, tmp_path: Path) -> None:
    main([str(list_path), str(tmp_path / "alone")])
    main([str(list_path), str(tmp_path / "together"), "--group", "clothing"])
    assert read_group(side_file(tmp_path / "alone")) is None
    paths = ["images/0/00/1,2.jpg", "images/0/01/3,4 b.jpg", "c.jpg"]
    assert read_group(side_file(tmp_path / "together")) == describe("clothing", paths)


def test_an_existing_database_stays(list_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "db").mkdir()
    assert main([str(list_path), str(tmp_path / "db")]) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_label_that_is_none(list_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    list_path.write_text("a.jpg 1.5\n")
    assert main([str(list_path), str(tmp_path / "db")]) == 2
    assert (
        "clean.txt:1: expected a line \"path label\", the label a whole number, got 'a.jpg 1.5'"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "db").exists()
