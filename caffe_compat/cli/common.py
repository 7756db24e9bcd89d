"""What every command line shares: how flags are spelled, how errors end, where the log goes."""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from caffe_compat.cli.hints import hint
from caffe_compat.errors import CaffeCompatError
from caffe_compat.glog import set_up_logging
from caffe_compat.repository import REPOSITORY

DONE, FAILED, WRONG_USAGE = 0, 1, 2

Main = Callable[[Sequence[str] | None], int]

_INPUT_ERRORS = (
    CaffeCompatError,
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults that say something: no "(default: None)", and none of a switch that is off."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        unsaid = action.default in (None, "") or action.default is False
        return action.help if unsaid else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """An ``ArgumentParser`` that takes ``--snapshot_prefix``, ``--snapshot-prefix`` and gflags' ``-snapshot_prefix``,
    and for switches gflags' ``--gray=true``, ``--gray=false`` and ``--nogray``.

    Flags are never abbreviated. A wrong command line ends with one line on stderr and exit code 2.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", HelpFormatter)
        super().__init__(*args, **kwargs)

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        return super().parse_known_args(self._as_registered(sys.argv[1:] if args is None else args), namespace)

    def format_help(self) -> str:
        return as_called_here(super().format_help())

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USAGE, f"{self.prog}: {message} (--help lists the options)\n")

    def _as_registered(self, args: Sequence[str]) -> list[str]:
        """``args`` with every flag we know spelled the way it was added; all else, and all after ``--``, as it is."""
        known = {_plain(flag): flag for action in self._actions for flag in action.option_strings if flag[:2] == "--"}
        end = list(args).index("--") if "--" in args else len(args)
        spelled = [self._flag(arg, known) for arg in args[:end]]
        return [flag for arg in spelled for flag in self._switch(arg)] + list(args[end:])

    def _flag(self, arg: str, known: dict[str, str]) -> str:
        name, equals, value = arg.partition("=")
        is_flag = name.startswith("-") and name not in self._option_string_actions
        return known.get(_plain(name), name) + equals + value if is_flag else arg

    def _switch(self, arg: str) -> list[str]:
        """gflags' ``--gray=true``, ``--gray=false`` and ``--nogray`` for a switch: the plain switch, or nothing."""
        name, equals, value = arg.partition("=")
        switches = [flag for action in self._actions if action.const is True for flag in action.option_strings]
        if name in switches and value.lower() in ("true", "t", "yes", "y", "1"):
            return [name]
        off = name in switches and value.lower() in ("false", "f", "no", "n", "0")
        negated = not equals and name.startswith("--no") and "--" + name[4:] in switches
        return [] if off or negated else [arg]


def _plain(flag: str) -> str:
    return flag.lstrip("-").replace("_", "-")


def positive(text: str) -> int:
    """An argparse type: an integer above 0."""
    return number_from(1, text, "a number above 0")


def not_negative(text: str) -> int:
    """An argparse type: an integer from 0."""
    return number_from(0, text, "a number from 0")


def number_from(least: int, text: str, wanted: str) -> int:
    """For argparse types: the integer that ``text`` is, if it is one from ``least``; else an error that says so."""
    with contextlib.suppress(ValueError):
        if (value := int(text)) >= least:
            return value
    raise argparse.ArgumentTypeError(f"expected {wanted}, got {text}")


def real_number(text: str, fits: Callable[[float], bool], wanted: str) -> float:
    """For argparse types: the number that ``text`` is, if it ``fits``; else an error that says so."""
    with contextlib.suppress(ValueError):
        if fits(value := float(text)):
            return value
    raise argparse.ArgumentTypeError(f"expected {wanted}, got {text}")


def refuse_existing(
    outputs: Iterable[str | Path | None], force: bool, inputs: Iterable[str | Path | None] = ()
) -> None:
    """Of files to be written (None: not asked for), before any work is done for them.

    Raises: CaffeCompatError naming the first one that exists, unless ``force`` is given; and, even then, one that is
        among ``inputs`` or is to be written twice.
    """
    taken = [path for path in inputs if path is not None]
    for path in (path for path in outputs if path is not None):
        if any(_same_file(path, other) for other in taken):
            raise CaffeCompatError("is an input, or named for two outputs: choose another name", path=os.fspath(path))
        taken.append(path)
        if os.path.exists(path) and not force:
            raise CaffeCompatError("exists; --force overwrites it", path=os.fspath(path))


def make_folders_of(outputs: Iterable[Path | None]) -> None:
    """Make the folders of files to be written (None: not asked for)."""
    for path in outputs:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)


def _same_file(one: str | Path, other: str | Path) -> bool:
    """Whether the two name one file, which need not be there."""
    if os.path.exists(one) and os.path.exists(other):
        return os.path.samefile(one, other)
    return os.path.realpath(one) == os.path.realpath(other)


def command(main: Main) -> Callable[..., int]:
    """Decorator of a tool's ``main(argv) -> int``: logging is set up, and every ending is an exit code.

    0 done; 2 wrong usage or input (a ``CaffeCompatError``, or a file that is missing, forbidden or in the way): the
    message alone on stderr; 1 failed while running (disk full, interrupted). A bug keeps its traceback.
    """

    @functools.wraps(main)
    def run(argv: Sequence[str] | None = None) -> int:
        set_up_logging()
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="surrogateescape")  # file names need not be UTF-8
        try:
            return main(argv)
        except SystemExit as ending:  # argparse: --help, a wrong command line
            if isinstance(ending.code, str):
                return _report(ending.code, WRONG_USAGE)
            return ending.code or DONE
        except _INPUT_ERRORS as exc:
            return _report("\n".join(filter(None, (_text(exc), hint(exc)))), WRONG_USAGE)
        except OSError as exc:
            return _report(_text(exc), FAILED)
        except KeyboardInterrupt:
            return _report("interrupted", FAILED)

    return run


def _text(problem: BaseException) -> str:
    """The message, of the operating system's errors in the form of ours: the file, then what is wrong with it."""
    if isinstance(problem, OSError) and problem.strerror:
        return ": ".join(str(part) for part in (problem.filename, problem.strerror) if part is not None)
    return str(problem)


def _report(problem: object, code: int) -> int:
    print(as_called_here(str(problem)), file=sys.stderr)
    return code


def as_called_here(text: str) -> str:
    """``text`` with each ``tools/NAME.py`` called what it is called where the package is installed without tools/."""
    if (REPOSITORY / "tools").is_dir():
        return text
    return re.sub(r"\btools/(\w+)\.py\b", r"caffe_compat_\1", text)
