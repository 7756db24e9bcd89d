"""upgrade_net_proto against what real Caffe's three tools wrote and logged (tests/golden/upgrade)."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from caffe_compat.cli.upgrade_net_proto import main
from caffe_compat.proto.caffe_pb2 import NetParameter
from caffe_compat.prototxt import read_net, to_text
from caffe_compat.weights import read_caffemodel

GOLDEN = Path(__file__).parents[1] / "golden" / "upgrade"
CASES = {
    "v0": ("v0.prototxt", []),
    "v1": ("v1.prototxt", []),
    "input_fields": ("input_fields.prototxt", []),
    "old_solver": ("old_solver.prototxt", ["--solver"]),
    "v1_binary": ("v1.caffemodel", []),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, _ in CASES.values():
        shutil.copy(GOLDEN / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def messages(log: str) -> list[str]:
    return re.findall(r"^[IWEF]\d{4,8} \S+ +\d+ \S+:\d+\] (.*)", log, re.MULTILINE)


@pytest.mark.parametrize("case", CASES)
def test_files_and_log_are_caffes(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, options = CASES[case]
    stem, suffix = name.split(".")
    target = f"{stem}.upgraded.{suffix}"
    assert main([name, target, *options]) == 0
    assert Path(target).read_bytes() == (GOLDEN / target).read_bytes()
    log = messages((GOLDEN / f"{stem}.log").read_text())
    first = next(index for index, line in enumerate(log) if f": {name}" in line)  # v1.log has two runs in it
    last = next(index for index, line in enumerate(log) if line.endswith(f" proto to {target}"))
    assert messages(capsys.readouterr().err) == log[first : last + 1]


@pytest.mark.parametrize("case", CASES)
def test_what_is_up_to_date_is_written_all_the_same(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As Caffe does, with its line in the log and exit code 0."""
    name, options = CASES[case]
    golden = GOLDEN / name.replace(".", ".upgraded.")
    shutil.copy(golden, "new")
    assert main(["new", "again", *options]) == 0
    assert Path("again").read_bytes() == golden.read_bytes()
    assert messages(capsys.readouterr().err)[0] == "File already in latest proto format: new"


def test_blobs_go_over_as_they_are() -> None:
    """Diffs, which nobody reads, and numbers that a weights file would not give out again."""
    old = NetParameter.FromString((GOLDEN / "v1.caffemodel").read_bytes())
    with_blobs = [layer for layer in old.layers if layer.blobs]
    with_blobs[0].blobs[0].diff.extend([1.5, 2.5])
    Path("x.caffemodel").write_bytes(old.SerializeToString())
    assert main(["x.caffemodel", "y.caffemodel"]) == 0
    new = NetParameter.FromString(Path("y.caffemodel").read_bytes())
    assert [layer.blobs for layer in new.layer if layer.blobs] == [layer.blobs for layer in with_blobs]
    assert read_caffemodel("y.caffemodel").keys() == read_caffemodel("v1.caffemodel").keys()


def test_a_file_is_upgraded_in_place_only_if_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("v1.caffemodel").read_bytes()
    assert main(["v1.caffemodel", "v1.caffemodel"]) == 2
    assert capsys.readouterr().err == "v1.caffemodel: exists; --force overwrites it\n"
    assert Path("v1.caffemodel").read_bytes() == before
    assert main(["v1.caffemodel", "v1.caffemodel", "--force"]) == 0
    assert Path("v1.caffemodel").read_bytes() == (GOLDEN / "v1.upgraded.caffemodel").read_bytes()


def test_a_text_with_what_is_not_ascii_is_a_text() -> None:
    Path("net.prototxt").write_text('name: "Öl" # ein Netz\ninput: "data" input_dim: 1\n', encoding="utf-8")
    assert main(["net.prototxt", "new.prototxt"]) == 2
    Path("net.prototxt").write_text('name: "Öl" # ein Netz\nlayers { name: "a" type: RELU }\n', encoding="utf-8")
    assert main(["net.prototxt", "new.prototxt"]) == 0
    assert to_text(read_net("new.prototxt")[0]) == Path("new.prototxt").read_text()
    assert read_net("new.prototxt")[0].name == "Öl"


def test_what_cannot_be_upgraded(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, one sentence, and nothing written; Caffe's tools end with 2 or a crash."""
    Path("both.prototxt").write_text("layer { name: 'a' } layers { name: 'b' }")
    Path("words").write_text("these are words")
    Path("cut").write_bytes(Path("v1.caffemodel").read_bytes()[:-1])
    Path("h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99))
    for source, problem in {
        "both.prototxt": "both.prototxt: layers: Refusing to upgrade inconsistent NetParameter input",
        "words": "words:1:1: NetParameter has no field",
        "cut": "cut: not a binary NetParameter, or cut short",
        "h5": "h5: an HDF5 file; expected Caffe's binary proto format",
        "nowhere": "nowhere: no such file",
        ".": ".: is a directory",
        "old_solver.prototxt": "old_solver.prototxt: expected a net, got a solver; --solver takes solvers",
    }.items():
        assert main([source, "out"]) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert problem in error, source
        assert not Path("out").exists()
    assert main(["v1.prototxt"]) == 2
    assert main(["v1.prototxt", "out", "--solver"]) == 2
