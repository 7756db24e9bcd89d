"""Nets and solvers from files, texts and messages, and what is said when that fails."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt import read_net, read_solver

NET = 'name: "n"\nlayer { name: "x" type: "ReLU" }\n'


def test_a_path_a_text_and_a_message_give_the_same_net(tmp_path: Path) -> None:
    file = tmp_path / "net.prototxt"
    file.write_text(NET)
    from_file, path = read_net(file)
    assert path == str(file)
    assert read_net(str(file)) == (from_file, str(file))
    assert read_net(NET) == (from_file, None)
    message, path = read_net(from_file)
    assert (message, path) == (from_file, None)
    assert message is not from_file


@pytest.mark.parametrize(
    "text", ['name: "n"', "layer { }", "# only a comment", "  layer{}", "name:'n'", "\n", "force_backward: 1"]
)
def test_texts_of_one_line_are_texts(text: str) -> None:
    assert read_net(text)[1] is None


@pytest.mark.parametrize("name", ["net.prototxt", "a:b.prototxt", "name with blanks", "C:net", "no/such/folder/x"])
def test_names_of_files_are_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PrototxtError) as caught:
        read_net(name)
    assert str(caught.value) == f"{name}: no such file"


def test_a_file_wins_over_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("name: 'n'").write_text('name: "in the file"')
    assert read_net("name: 'n'")[0].name == "in the file"


def test_files_that_are_not_text(tmp_path: Path) -> None:
    with pytest.raises(PrototxtError, match=r"is a directory, not a prototxt file$"):
        read_net(tmp_path)
    binary = tmp_path / "net.caffemodel"
    binary.write_bytes(b'name: "\xff\xfe"')
    with pytest.raises(PrototxtError, match=r"net.caffemodel: not a text file in UTF-8 \(byte 7\)$"):
        read_net(binary)


def test_a_byte_order_mark_and_windows_line_ends_are_no_matter(tmp_path: Path) -> None:
    file = tmp_path / "net.prototxt"
    file.write_bytes(b"\xef\xbb\xbf" + NET.replace("\n", "\r\n").encode())
    assert read_net(file)[0] == read_net(NET)[0]


def test_errors_in_a_file_carry_its_name(tmp_path: Path) -> None:
    file = tmp_path / "solver.prototxt"
    file.write_text("base_lr: 0.1\nmax_itr: 5\n")
    with pytest.raises(PrototxtError) as caught:
        read_solver(file)
    assert str(caught.value) == f'{file}:2:1: SolverParameter has no field "max_itr"; closest: max_iter'


NET_FOR_SOLVER = "expected a solver, got a net; nets go to --model or a solver's `net`, not to --solver"


@pytest.mark.parametrize(
    "read, text, problem",
    [
        (read_net, 'base_lr: 0.1\nnet: "n.prototxt"\n', "expected a net, got a solver; --solver takes solvers"),
        (read_net, 'base_lr: 0.1\nnett: "n.prototxt"\n', 'NetParameter has no field "base_lr"'),
        (read_solver, NET, NET_FOR_SOLVER),
        (read_solver, 'name: "n"\nlayers { type: RELU }\n', NET_FOR_SOLVER),
        (read_solver, 'name: "n"\nlayers { type: RELUU }\n', 'SolverParameter has no field "name"'),
    ],
)
def test_a_net_and_a_solver_in_each_others_place(
    read: Callable[[object], object], text: str, problem: str, tmp_path: Path
) -> None:
    (tmp_path / "x.prototxt").write_text(text)
    for source in (tmp_path / "x.prototxt", text):
        with pytest.raises(PrototxtError, match=f"^(<text>|.*/x.prototxt)(:1:1)?: {re.escape(problem)}"):
            read(source)


def test_solvers_are_read_the_same_way() -> None:
    solver, path = read_solver("base_lr: 0.5")
    assert (solver.base_lr, path) == (0.5, None)
    assert read_solver(solver)[0] == solver
    with pytest.raises(TypeError, match="expected a path, a text or a SolverParameter, got NetParameter"):
        read_solver(caffe_pb2.NetParameter())  # type: ignore[arg-type]
