"""tools/check_dataset.py through its command line: exit codes, the verdict, the report."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from tiny_datasets import clothing_key, write_clothing1m

from caffe_compat.cli.check_dataset import main
from caffe_compat.datasets.check.kinds import KINDS
from caffe_compat.evaluation.experiments.own_nets import MODELS, write_nets


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_clothing1m(tmp_path / "root")
    return tmp_path / "root"


def append(path: Path, *lines: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def test_a_clean_folder(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(root), "--processes", "1"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{root}: checked as a folder laid out as Clothing1M is",
        "class counts (T-Shirt, Shirt, Knitwear, Chiffon):",
        "  noisy_train       40: 10 9 11 10",
        "  clean_train       20: 5 5 5 5",
        "  clean_val          6: 2 2 1 1",
        "  clean_test         6: 1 1 2 2",
        "label accuracy of clean_train: 60.00% of 10 samples with both labels",
        "label accuracy of clean_val: 0.00% of 3 samples with both labels",
        "label accuracy of clean_test: 66.67% of 3 samples with both labels",
        "READY: nothing wrong was found",
    ]


def test_warnings_alone_are_no_failure(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    append(root / "clean_label_kv.txt", "images/x.jpg")
    assert main([str(root), "--no_images"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{root}: checked as a folder laid out as Clothing1M is, images not read\n")
    assert out.endswith(
        "warning: 1 line(s) without a label [malformed_line]\n"
        "    clean_label_kv.txt:33: 'images/x.jpg'\n"
        "  -> complete or delete them; they are not used\n"
        "READY: 0 problems, 1 warning\n"
    )


def test_problems_and_the_report(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    append(root / "clean_label_kv.txt", "images/x.jpg", "images/y.jpg 4", "images/z.jpg 5", "images/w.jpg 6")
    append(root / "clean_train_key_list.txt", clothing_key(22))
    report = tmp_path / "report.json"
    assert main([str(root), "--processes", "1", "--examples", "2", "--report", str(report)]) == 1
    out, err = capsys.readouterr()
    assert f"wrote {report} and {tmp_path / 'report.places.jsonl'}\n" in err
    assert "    clean_label_kv.txt:35: 'images/z.jpg 5'\n    ... and 1 more\n" in out
    assert out.endswith("NOT READY: 2 problems, 1 warning\n")

    content = json.loads(report.read_text())
    assert content.pop("seconds") >= 0 and content.pop("facts")["images_decoded"] == 72
    (out_of_range, two_splits, malformed) = content.pop("findings")
    assert content == {
        "format": "caffe_compat.check_dataset", "version": 1, "path": str(root), "kind": "clothing1m",
        "images_read": True, "verdict": "NOT READY", "problems": 2, "warnings": 1,
        "all_places": "report.places.jsonl", "recipe": None, "nets": None,
    }  # fmt: skip
    assert two_splits["examples"] == [{"file": "clean_train_key_list.txt", "line": 21, "key": clothing_key(22)}]
    assert malformed["severity"] == "warning"
    assert out_of_range == {
        "kind": "label_out_of_range", "severity": "problem", "what": KINDS["label_out_of_range"].what,
        "remedy": KINDS["label_out_of_range"].remedy, "count": 3,
        "examples": [
            {"file": "clean_label_kv.txt", "line": 34, "detail": "'images/y.jpg 4'"},
            {"file": "clean_label_kv.txt", "line": 35, "detail": "'images/z.jpg 5'"},
        ],
    }  # fmt: skip
    places = [json.loads(line) for line in (tmp_path / "report.places.jsonl").read_text().splitlines()]
    assert len(places) == 5
    assert places[2] == {
        "kind": "label_out_of_range", "file": "clean_label_kv.txt", "line": 36, "detail": "'images/w.jpg 6'",
    }  # fmt: skip


def test_a_report_that_cannot_be_written_costs_no_check(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (tmp_path / "none/report.json", tmp_path):
        assert main([str(root), "--report", str(path)]) == 2
        out, err = capsys.readouterr()
        assert out == "" and f"--report: expected a file in a folder that is there, got {path}" in err

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "report.json")

    monkeypatch.setattr("caffe_compat.datasets.check.report.write_report", full)
    assert main([str(root), "--no_images", "--report", str(tmp_path / "report.json")]) == 1
    assert capsys.readouterr().out.endswith("READY: nothing wrong was found\n")


def test_places_of_an_earlier_check_go(root: Path, tmp_path: Path) -> None:
    arguments = [str(root), "--no_images", "--report", str(tmp_path / "report.json"), "--examples"]
    append(root / "clean_label_kv.txt", "images/x.jpg", "images/y.jpg")
    assert main([*arguments, "1"]) == 0
    assert len((tmp_path / "report.places.jsonl").read_text().splitlines()) == 2
    assert main([*arguments, "2"]) == 0
    assert not (tmp_path / "report.places.jsonl").exists()


def test_lists(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    append(root / "list.txt", f"{clothing_key(1)} 0", f"{clothing_key(2)} 1")
    arguments = ["--list", str(root / "list.txt"), "--root", f"{root}/", "--processes", "1"]
    assert main(arguments) == 0
    assert main([*arguments, "--num_classes", "1"]) == 1
    assert "list.txt:2: " in capsys.readouterr().out


def test_names_that_are_not_utf8(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict")
    monkeypatch.setattr("sys.stdout", stdout)
    (root / "list.txt").write_bytes(b"caf\xe9.jpg 0\n")
    assert main(["--list", str(root / "list.txt"), "--root", f"{root}/"]) == 1
    stdout.flush()
    assert b"list.txt:1: caf\xe9.jpg\n" in stdout.buffer.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected DIR or --list"),
        (["ROOT", "--list", "x"], "expected DIR or --list"),
        (["--list", "x"], "--list and --root go together"),
        (["ROOT/images"], "expected databases such as clean_train_lmdb"),
        (["ROOT", "--kind", "cifar10n"], "train.csv"),
        (["--list", "ROOT/none.txt", "--root", "ROOT/"], "none.txt"),
    ],
)  # fmt: skip
def test_what_cannot_be_checked(
    root: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([argument.replace("ROOT", str(root)) for argument in arguments]) == 2
    assert message in capsys.readouterr().err


def test_every_kind_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs/checking.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.startswith("| `")]
    documented = {cells[1].strip("`"): cells[2:5] for cells in rows if len(cells) == 6}
    assert {name: cells[0] for name, cells in documented.items()} == {
        name: kind.severity for name, kind in KINDS.items()
    }
    for name, (_, what, remedy) in documented.items():  # the page may say more
        assert what.startswith(KINDS[name].what)
        assert remedy.replace("`", "").startswith(KINDS[name].remedy.replace("`", ""))


@pytest.mark.parametrize(
    ("row", "message"),
    [(b"\xff,1\n", "train.csv: not a text file in UTF-8"), (b"a" * 200_000 + b",1\n", ": not a CSV row")],
)
def test_tables_of_cifar10n_that_are_none(
    row: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("train.csv", "test.csv"):
        (tmp_path / name).write_bytes(b"file,clean\n" + row)
    assert main([str(tmp_path), "--no_images"]) == 2
    assert message in capsys.readouterr().err


def test_what_a_recipe_needs(tiny_data, capsys: pytest.CaptureFixture[str]) -> None:
    data = tiny_data("cifar", classes=10, size=32)
    command = [str(data), "--kind", "made", "--no_images", "--recipe"]
    main([*command, "cifar10n"])
    assert "needed_by_recipe" not in capsys.readouterr().out
    assert main([*command, "cifar10n_ablations"]) == 1
    said = capsys.readouterr().out
    assert (
        "1 part(s) missing that nets of the recipe read [needed_by_recipe]\n    confusion_of_all.binaryproto\n" in said
    )
    assert main([*command, "cifar"]) == 2
    assert "--recipe: expected one of cifar10, cifar10n, " in capsys.readouterr().err


def test_a_recipe_is_about_made_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clothing1m(tmp_path / "root")
    assert main([str(tmp_path / "root"), "--no_images", "--recipe", "clothing1m"]) == 2
    wanted = "--recipe: expected a made data folder, got a folder laid out as Clothing1M is"
    assert wanted in capsys.readouterr().err


def test_a_report_replaces_nothing_but_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clothing1m(tmp_path / "root")
    file = tmp_path / "report.json"
    file.write_text('{"mine": 1}')
    assert main([str(tmp_path / "root"), "--no_images", "--report", str(file)]) == 2
    assert f"--report: expected a new file or an earlier report, got {file}" in capsys.readouterr().err
    file.unlink()
    for _ in range(2):
        assert main([str(tmp_path / "root"), "--no_images", "--report", str(file)]) == 0


def test_a_list_given_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("a.jpg 0\n")
    assert main(["--list", str(tmp_path / "a.txt"), f"{tmp_path}/./a.txt", "--root", "x/"]) == 2
    assert "--list: a list is given twice" in capsys.readouterr().err


def test_whether_nets_fit(tiny_data, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tiny_data("cifar", classes=10, size=32)
    command = [str(data), "--kind", "made", "--no_images"]
    assert main([*command, "--recipe", "demo"]) == 1
    said = capsys.readouterr().out
    assert "net(s) of the recipe that cannot be trained on it [net_does_not_fit]" in said
    assert 'clean_train_val.prototxt: layer "data" (Data): transform_param.crop_size: expected records of at' in said
    write_nets(data, tmp_path / "nets", MODELS["cifar10"])
    main([*command, "--nets", str(tmp_path / "nets"), "--report", str(tmp_path / "report.json")])
    assert "net_does_not_fit" not in capsys.readouterr().out
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["recipe"], report["nets"]) == (None, str(tmp_path / "nets"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["DIR", "--num_classes", "4"], "--num_classes is of lists; DIR tells"),
        (["--list", "l", "--root", "r/", "--kind", "made"], "--kind says what DIR is, and there is none"),
        (
            ["DIR", "--kind", "made", "--images", "i"],
            "--images: expected a folder laid out as Clothing1M is, got a made",
        ),
        (["DIR", "--kind", "made", "--nets", "n", "--recipe", "demo"], "not allowed with"),
    ],
)
def test_options_without_a_use(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(arguments)
    except SystemExit as exc:
        code = exc.code
    assert code == 2 and message in capsys.readouterr().err
