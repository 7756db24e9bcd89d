"""scripts/make_venv.sh names what a machine lacks, in one sentence, and makes nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_venv.sh"
SHELL_TOOLS = ("sh", "env", "rm", "cat")

# A python that answers the script's questions as told by the environment and otherwise is the real one.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
    *version_info*"<"*) [ -z "$OLD" ] && exit 0 || exit 1 ;;
    *ensurepip*) [ -z "$NO_VENV" ] && exit 0 || exit 1 ;;
    *get_path*) echo "$INCLUDE" ;;
    -V) echo "Python 3.9.2" ;;
    *) exec {python} "$@" ;;
esac
"""


def run_script(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script on a machine that has a shell, and of ``folder``/bin whatever lies there."""
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    for tool in SHELL_TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (tools / tool).symlink_to(found)
    shell = tools / "sh"
    return subprocess.run(
        [shell, SCRIPT], cwd=folder, env={"PATH": str(tools), **environment}, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def with_python(tmp_path: Path) -> Path:
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(FAKE_PYTHON.format(python=sys.executable))
    python.chmod(0o755)
    include = tmp_path / "include"
    include.mkdir()
    (include / "Python.h").touch()
    return tmp_path


VERSION = "{}.{}".format(*sys.version_info)


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({"OLD": "1"}, "python3 is Python 3.9.2, Python 3.11 or newer is needed"),
        ({"NO_VENV": "1"}, f"apt-get install python{VERSION}-venv"),
        ({"INCLUDE": "/nowhere"}, f"apt-get install python{VERSION}-dev"),
        ({}, "apt-get install g++"),
    ],
    ids=["python too old", "no venv module", "no headers", "no compiler"],
)
def test_names_what_is_missing(with_python: Path, environment: dict[str, str], wanted: str) -> None:
    result = run_script(with_python, **{"INCLUDE": str(with_python / "include"), **environment})
    assert result.returncode == 1
    assert wanted in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not os.path.exists(with_python / ".venv")


def test_names_python_when_there_is_none(tmp_path: Path) -> None:
    result = run_script(tmp_path)
    assert result.returncode == 1
    assert "apt-get install python3 python3-venv python3-dev" in result.stderr
