"""The shared command line: flag spellings and exit codes."""

from __future__ import annotations

import argparse
import errno
from collections.abc import Callable

import pytest

from caffe_compat.cli.common import Parser, command, not_negative, positive
from caffe_compat.errors import PrototxtError


def parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(prog="tool")
    parser.add_argument("--sigint_effect", default="stop")
    parser.add_argument("--clean-ratio", type=float, default=0.5)
    parser.add_argument("--shuffle", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("-v", action="store_true")
    parser.add_argument("files", nargs="*")
    return parser.parse_args(argv)


@pytest.mark.parametrize("flag", ["--sigint_effect", "--sigint-effect", "-sigint_effect", "-sigint-effect"])
@pytest.mark.parametrize("form", ["{}=none", "{} none"])
def test_every_spelling_of_a_flag(flag: str, form: str) -> None:
    assert parse(form.format(flag).split()).sigint_effect == "none"


def test_flags_added_with_a_hyphen_take_both_too() -> None:
    assert parse(["--clean_ratio", "1"]).clean_ratio == parse(["--clean-ratio=1"]).clean_ratio == 1
    assert not parse(["--no_shuffle"]).shuffle and not parse(["--no-shuffle"]).shuffle


def test_values_and_what_follows_two_dashes_are_left_alone() -> None:
    parsed = parse(["--sigint_effect=a-b_c=d", "-v", "x_y-z", "--", "--clean_ratio", "-sigint_effect"])
    assert parsed.sigint_effect == "a-b_c=d" and parsed.v
    assert parsed.files == ["x_y-z", "--clean_ratio", "-sigint_effect"]


def run(ending: BaseException | int, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    @command
    def main(argv: object = None) -> int:
        if isinstance(ending, BaseException):
            raise ending
        return ending

    return main([]), capsys.readouterr().err


@pytest.mark.parametrize(
    "ending, code, text",
    [
        (0, 0, ""),
        (1, 1, ""),
        (PrototxtError("expected > 0, got 0", path="n.prototxt"), 2, "n.prototxt: expected > 0, got 0\n"),
        (FileNotFoundError(errno.ENOENT, "No such file", "x"), 2, "x: No such file\n"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "No space left on device\n"),
        (KeyboardInterrupt(), 1, "interrupted\n"),
    ],
)
def test_endings(ending: BaseException | int, code: int, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ending, capsys) == (code, text)


def test_a_bug_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError):
        run(ZeroDivisionError(), capsys)


def test_wrong_usage_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    @command
    def main(argv: list[str]) -> int:
        parse(argv)
        return 0

    assert main(["--sigint", "none"]) == 2  # no abbreviations
    assert capsys.readouterr().err == "tool: unrecognized arguments: --sigint (--help lists the options)\n"
    assert main(["--help"]) == 0
    assert "--sigint_effect" in capsys.readouterr().out


def test_help_shows_the_defaults_that_say_something(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser(prog="tool")
    parser.add_argument("--model", required=True, help="the net")
    parser.add_argument("--gpu", default="", help="the GPU")
    parser.add_argument("--gray", action="store_true", help="no colours")
    parser.add_argument("--iterations", type=int, default=50, help="batches to run")
    parser.add_argument("--first", type=int, default=0, help="where to start")
    with pytest.raises(SystemExit):
        parser.parse_args(["--help"])
    text = capsys.readouterr().out
    assert "(default: 50)" in text and "(default: 0)" in text and text.count("default") == 2


@pytest.mark.parametrize(("kind", "text"), [(positive, "x"), (positive, "0"), (not_negative, "-1")])
def test_numbers_that_are_none(kind: Callable[[str], int], text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=rf"^expected a number .* got {text}$"):
        kind(text)


def test_a_program_that_ends_itself_with_words_has_failed(capsys: pytest.CaptureFixture[str]) -> None:
    @command
    def main(argv: object = None) -> int:
        raise SystemExit("no such device")

    assert main() == 2
    assert capsys.readouterr().err == "no such device\n"
