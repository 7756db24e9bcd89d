"""parse_log against the files Caffe's own script makes of real Caffe's logs (golden/parse_log)."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe_compat.cli.parse_log import main

GOLDEN = Path(__file__).parents[1] / "golden"
LOG, RESUMED = GOLDEN / "run/train_BINARYPROTO.log", GOLDEN / "run/resumed/train.log"


def test_the_files_are_caffes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(LOG), str(tmp_path), "--verbose"]) == 0
    assert capsys.readouterr().out == f"Wrote {tmp_path}/{LOG.name}.train\nWrote {tmp_path}/{LOG.name}.test\n"
    for kind in ("train", "test"):
        ours = (tmp_path / f"{LOG.name}.{kind}").read_bytes()
        assert ours == (GOLDEN / f"parse_log/train_BINARYPROTO.{kind}").read_bytes()


@pytest.mark.parametrize("year", ["2026", ""])
def test_a_run_and_its_resume_in_one_file(year: str, tmp_path: Path) -> None:
    """With the years, which Caffe's script cannot read, and without them."""
    log = tmp_path / "both.log"
    log.write_text((LOG.read_text() + RESUMED.read_text()).replace("I2026", f"I{year}"))
    assert main([str(log), str(tmp_path)]) == 0
    for kind in ("train", "test"):
        assert (tmp_path / f"both.log.{kind}").read_bytes() == (GOLDEN / f"parse_log/both.{kind}").read_bytes()


def test_several_test_nets_and_another_delimiter(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(LOG.read_text().replace("Iteration 20, Testing net (#0)", "Iteration 20, Testing net (#1)"))
    assert main([str(log), str(tmp_path), "--delimiter", "\t"]) == 0
    lines = (tmp_path / "log.test_1").read_text().splitlines()
    assert lines == ["NumIters\tSeconds\tLearningRate\taccuracy\tloss", "20.0\t0.051074\t0.005\t1.0\t0.00323489"]
    assert len((tmp_path / "log.test").read_text().splitlines()) == 1 + 3


def test_wrong_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for argv, message in (
        (
            [str(GOLDEN / "run/time.log"), str(tmp_path)],
            "time.log: no outputs of a net in it: not a log of caffe train?",
        ),
        (["none.log", str(tmp_path)], "none.log"),
        ([str(LOG), str(tmp_path / "none")], "none"),
        ([str(LOG), str(tmp_path), "--delimiter=::"], "expected one character"),
    ):
        assert main(argv) == 2
        assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
