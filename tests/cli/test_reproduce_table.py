"""tools/reproduce_table.py: which experiment it takes. The chain itself: tests/evaluation/experiments/test_chain.py."""

import json
from pathlib import Path

import pytest

from caffe_compat.cli.reproduce_table import main


def test_without_a_recipe_it_is_the_papers_table_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["--data", str(tmp_path), "--out", str(tmp_path), "--table_only"]) == 0
    printed = capsys.readouterr().out
    assert all(str(accuracy) in printed for accuracy in (64.54, 72.63, 74.03, 75.3, 76.22, 78.24))
    assert json.loads((tmp_path / "table.json").read_text())["recipe"] == "clothing1m"


def test_help_names_that_default(capsys: pytest.CaptureFixture[str]):
    assert main(["--help"]) == 0
    assert "(default: clothing1m, the paper's Table 1" in " ".join(capsys.readouterr().out.split())


def test_nets_and_the_default_recipe_exclude_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    argv = ["--nets", str(tmp_path), "--recipe", "clothing1m", "--data", str(tmp_path), "--out", str(tmp_path)]
    assert main(argv) == 2
    assert "not allowed with argument" in capsys.readouterr().err


def test_nets_are_not_overruled_by_the_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["--nets", str(tmp_path), "--data", str(tmp_path), "--out", str(tmp_path)]) == 2
    said = f"{tmp_path}: expected a folder of nets, as tools/make_nets.py makes; no clean_solver.prototxt there"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("several", ["0,1", "all"])
def test_several_gpus_would_change_the_batches(several: str, capsys: pytest.CaptureFixture[str]):
    assert main(["--data", "d", "--out", "o", "--gpu", several]) == 2
    assert f"argument --gpu: expected the number of one GPU, got '{several}'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--recipe", "clothing1m", "--stages", "ours"], "--stages ours: start from weights that --pretrained gives"),
        (
            ["--recipe", "demo", "--pretrained", "FILE"],
            "--pretrained: no stage of recipe demo starts from such weights",
        ),
        (["--switch", "D2=paper", "--switch", "D2=release"], "--switch: one is given twice"),
        (["--table_only", "--stages", "clean"], "--table_only trains nothing; --stages has no use"),
        (["--table_only", "--gpu", "0"], "--table_only trains nothing; --gpu has no use"),
        (["--recipe", "clothing1m", "--pretrained", "FILE"], "weights.txt: "),
    ],
)
def test_what_cannot_be_meant(
    tmp_path: Path, tiny_data, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    file = tmp_path / "weights.txt"
    file.write_text("no weights")
    data = tiny_data("own", classes=14, size=32)
    given = [str(file) if option == "FILE" else option for option in options]
    assert main(["--data", str(data), "--out", str(tmp_path / "out"), *given]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
