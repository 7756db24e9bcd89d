"""Files and folders that appear whole or not at all, and what a killed process leaves."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from caffe_compat.files import atomic_directory, atomic_path, temporary_directory

KINDS = pytest.mark.parametrize("atomic", [atomic_path, atomic_directory])
Atomic = Callable[[Path], contextlib.AbstractContextManager[Path]]


def write(part: Path, text: str) -> None:
    (part / "inside" if part.is_dir() else part).write_text(text)


def text_of(final: Path) -> str:
    return (final / "inside" if final.is_dir() else final).read_text()


@contextlib.contextmanager
def writer_in_another_process(atomic: Atomic, final: Path) -> Iterator[subprocess.Popen[str]]:
    """It has begun to write ``final`` and goes on for ever."""
    program = (
        f"import sys, time; from pathlib import Path; from caffe_compat.files import {atomic.__name__} as atomic\n"
        "with atomic(Path(sys.argv[1])) as part:\n"
        "    (part / 'inside' if part.is_dir() else part).write_text('half')\n"
        "    print('began', flush=True)\n"
        "    time.sleep(600)"
    )
    command = [sys.executable, "-c", program, str(final)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "began\n"
            yield process
        finally:
            process.kill()


@KINDS
def test_appears_at_the_end_with_the_usual_mode(atomic: Atomic, tmp_path: Path) -> None:
    with atomic(tmp_path / "new") as part:
        write(part, "all")
        assert not (tmp_path / "new").exists() and part.parent == tmp_path
    assert text_of(tmp_path / "new") == "all"
    assert os.listdir(tmp_path) == ["new"]
    usual = tmp_path / "usual"
    usual.touch() if (tmp_path / "new").is_file() else usual.mkdir()
    assert (tmp_path / "new").stat().st_mode == usual.stat().st_mode


@KINDS
def test_nothing_is_left_of_a_failure(atomic: Atomic, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic(tmp_path / "new") as part:
        write(part, "half")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_an_old_file_stays_until_the_new_one_is_there(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("old")
    with pytest.raises(OSError), atomic_path(tmp_path / "new"):
        raise OSError
    assert (tmp_path / "new").read_text() == "old"


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(OSError), atomic_directory(tmp_path / "new"):
        (tmp_path / "new").mkdir()
        (tmp_path / "new/other").touch()
    assert os.listdir(tmp_path) == ["new"] and os.listdir(tmp_path / "new") == ["other"]


@KINDS
def test_the_part_of_a_killed_process_goes_with_the_next_writing(atomic: Atomic, tmp_path: Path) -> None:
    with writer_in_another_process(atomic, tmp_path / "new") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".new.") and left.name.endswith(".part")
    with atomic(tmp_path / "other") as part:
        write(part, "all")
    assert left.exists(), "of another name"
    with atomic(tmp_path / "new") as part:
        assert not left.exists()
        write(part, "all")
    assert sorted(os.listdir(tmp_path)) == ["new", "other"]


@KINDS
def test_the_part_of_a_living_process_stays(atomic: Atomic, tmp_path: Path) -> None:
    with writer_in_another_process(atomic, tmp_path / "new"):
        (begun,) = tmp_path.iterdir()
        with atomic(tmp_path / "new") as part:
            assert begun.exists()
            write(part, "all")
        assert text_of(begun) == "half" and text_of(tmp_path / "new") == "all"


def test_files_that_only_look_alike_stay(tmp_path: Path) -> None:
    looks_alike = [".new.part", ".new.caffemodel.abcdefgh.part", "new.abcdefgh.part", ".new.abcdefgh.parts"]
    for name in looks_alike:
        (tmp_path / name).touch()
    with atomic_path(tmp_path / "new"):
        pass
    assert sorted(os.listdir(tmp_path)) == sorted(["new", *looks_alike])


def test_a_part_taken_for_abandoned_too_soon_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, taken = __import__("fcntl").flock, []

    def steal_the_first(descriptor: int, how: int) -> None:
        if not taken:
            taken.extend(tmp_path.iterdir())
            taken[0].unlink()
        lock(descriptor, how)

    monkeypatch.setattr("caffe_compat.files.fcntl.flock", steal_the_first)
    with atomic_path(tmp_path / "new") as part:
        part.write_text("all")
    assert (tmp_path / "new").read_text() == "all" and taken[0] != part


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, how: int) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr("caffe_compat.files.fcntl.flock", refuse)
    (tmp_path / ".new.abcdefgh.part").touch()
    with atomic_path(tmp_path / "new") as part:
        part.write_text("all")
    assert sorted(os.listdir(tmp_path)) == [".new.abcdefgh.part", "new"]


def test_a_temporary_directory_may_be_renamed(tmp_path: Path) -> None:
    with temporary_directory(tmp_path / "new") as part:
        part.rename(tmp_path / "elsewhere")
    assert os.listdir(tmp_path) == ["elsewhere"]
