"""The installed commands of pyproject.toml: the same mains as tools/*.py, one each."""

import importlib
import inspect
import tomllib
from pathlib import Path

import pytest

from caffe_compat.cli import common

ROOT = Path(__file__).parents[2]
TOOLS = {path.stem: path.read_text() for path in (ROOT / "tools").glob("*.py")}
COMMANDS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


def test_every_tool_is_installed_as_a_command_and_nothing_else_is():
    assert len(TOOLS) > 25
    assert {name: f"caffe_compat.cli.{name}:main" for name in TOOLS} == {
        command.removeprefix("caffe_compat_"): main for command, main in COMMANDS.items()
    }
    assert all(command.startswith("caffe_compat_") for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_runs_the_main_of_its_tool(command: str):
    module, function = COMMANDS[command].split(":")
    inspect.signature(getattr(importlib.import_module(module), function)).bind()  # a command calls it with nothing
    assert f"from {module} import {function}\n" in TOOLS[command.removeprefix("caffe_compat_")]


def test_messages_name_the_commands_where_there_is_no_tools_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = "no index there; tools/mix_datasets.py makes one, mytools/a.py does not"
    assert common.as_called_here(text) == text
    monkeypatch.setattr(common, "REPOSITORY", tmp_path)
    assert common.as_called_here(text) == "no index there; caffe_compat_mix_datasets makes one, mytools/a.py does not"


def test_help_names_the_commands_where_there_is_no_tools_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    parser = common.Parser(description="As tools/train_net.py does.", epilog="Then tools/test_net.py.")
    parser.add_argument("--log", help="what tools/parse_log.py reads")
    assert "As tools/train_net.py does." in parser.format_help()
    monkeypatch.setattr(common, "REPOSITORY", tmp_path)
    text = parser.format_help()
    assert "tools/" not in text
    assert all(f"caffe_compat_{name}" in text for name in ("train_net", "test_net", "parse_log"))
