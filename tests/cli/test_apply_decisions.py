"""From scores to lists, from a person's decisions in them to clean labels, C and a new mixed set."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from label_scoring import CLASSES, NAMES, ScoringCase
from tiny_datasets import labels_of

from caffe_compat.cli.apply_decisions import main
from caffe_compat.cli.estimate_confusion import main as estimate_confusion
from caffe_compat.cli.mix_datasets import main as mix_datasets
from caffe_compat.cli.score_labels import main as score_labels
from caffe_compat.datasets import layout
from caffe_compat.datasets.pairs import read_noise_types, read_pairs
from caffe_compat.evaluation.label_quality.scores_file import read_scores

pytest.importorskip("pyarrow")


@pytest.fixture
def case(tmp_path: Path) -> ScoringCase:
    """Scored; its lists in lists/."""
    case = ScoringCase(tmp_path, records=40)
    assert score_labels(case.arguments("--lists", str(tmp_path / "lists"))) == 0
    return case


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    """As a spreadsheet does: with a BOM and Windows' line ends."""
    with open(path, "w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def decide(folder: Path, decision: Callable[[dict[str, str]], str]) -> None:
    for path in folder.glob("*_*.csv"):
        write_rows(path, [row | {"decision": decision(row)} for row in rows_of(path)])


def test_lists_hold_every_image_to_look_at_once(case: ScoringCase) -> None:
    """In the list of its pair, the surest error first; images whose clean label is known are not to be looked at."""
    rows = [row for batch in read_scores(case.folder / "labels.parquet") for row in batch.to_pylist()]
    wanted = {row["key"]: row for row in rows if row["clean"] is None}
    index = rows_of(case.folder / "lists" / "index.csv")
    found = []
    for line in index:
        listed = rows_of(case.folder / "lists" / line["file"])
        assert len(listed) == int(line["records"])
        assert line["noisy_name"] == NAMES[int(line["noisy"])]
        assert line["suggested_name"] == NAMES[int(line["suggested"])]
        p_wrong = [wanted[row["key"]]["p_wrong"] for row in listed]
        assert p_wrong == sorted(p_wrong, reverse=True)
        assert float(line["expected_wrong"]) == pytest.approx(sum(p_wrong), abs=0.01)
        for row in listed:
            assert row["decision"] == ""
            assert (row["noisy"], row["suggested"]) == (line["noisy"], line["suggested"])
            assert float(row["p_wrong"]) == pytest.approx(wanted[row["key"]]["p_wrong"], rel=1e-5)
        found += [row["key"] for row in listed]
    assert sorted(found) == sorted(wanted)
    is_kept = [line["noisy"] == line["suggested"] for line in index]
    assert is_kept == sorted(is_kept) and 0 < sum(is_kept) < len(is_kept)  # changes come first


def test_decisions_become_clean_labels(case: ScoringCase, capsys: pytest.CaptureFixture[str]) -> None:
    """By number, by name, or left open; then C from them, and a mixed set whose net would train on them."""
    folder = case.folder
    decisions: dict[str, int] = {}

    def decision(row: dict[str, str]) -> str:
        number = case.keys.index(row["key"])
        if number % 5 == 4:
            return " "
        decisions[row["key"]] = label = int(row["noisy"]) if number % 2 else (int(row["noisy"]) + 1) % CLASSES
        return NAMES[label] if number % 3 else str(label)

    decide(folder / "lists", decision)
    additions = folder / "clean_additions.csv"
    assert main([str(folder / "lists"), "--out", str(additions)]) == 0
    pairs = {key: (clean, noisy) for key, clean, noisy in read_pairs(additions, CLASSES)}
    number_of = {key: number for number, key in enumerate(case.keys)}
    assert pairs == {key: (label, case.noisy[number_of[key]]) for key, label in decisions.items()}
    changed = sum(clean != noisy for clean, noisy in pairs.values())
    said = capsys.readouterr().out
    assert f"{len(pairs)} images, {changed} labels changed, {len(pairs) - changed} confirmed" in said
    assert "with another OUT and --clean_additions " in said.splitlines()[-1]

    types = folder / "types.csv"
    assert estimate_confusion([str(additions), "--num_classes", "4", "--out", str(folder / "C.binaryproto"),
                               "--noise_types", str(types)]) == 0  # fmt: skip
    assert read_noise_types(types).keys() == pairs.keys()

    clean_keys = [key for key, label in zip(case.keys, case.clean, strict=True) if label >= 0]
    noisy_keys = [key for key, label in zip(case.keys, case.clean, strict=True) if label < 0]
    for name, keys, labels in (("clean", clean_keys, case.clean), ("noisy", noisy_keys, case.noisy)):
        (folder / f"{name}.txt").write_text("".join(f"{key} {labels[number_of[key]]}\n" for key in keys))
    out = folder / "new"
    mix = [str(folder / "clean.txt"), str(folder / "noisy.txt"), str(out), "--image_db",
           str(folder / layout.MIXED_IMAGES), "--clean_ratio", "none", "--clean_additions", str(additions)]  # fmt: skip
    assert mix_datasets([*mix, "--noise_types", str(types)]) != 0, "the types are of no image in the clean list"
    with open(types, "a", encoding="utf-8") as file:
        file.write(f'"{clean_keys[0]}",2\n')
    assert mix_datasets([*mix, "--noise_types", str(types)]) == 0
    order = [case.keys[position] for position in np.load(out / layout.MIXED_INDEX)]
    assert sorted(order) == sorted(case.keys)
    known_types = read_noise_types(types)
    for key, clean, noisy, kind in zip(
        order,
        labels_of(out / layout.MIXED_CLEAN_LABELS),
        labels_of(out / layout.MIXED_NOISY_LABELS),
        labels_of(out / layout.MIXED_NTYPE_LABELS),
        strict=True,
    ):
        is_clean = key in pairs or key in clean_keys
        assert clean == (pairs[key][0] if key in pairs else case.clean[number_of[key]])
        assert noisy == (-1 if is_clean else case.noisy[number_of[key]])
        assert kind == known_types.get(key, -1)


# --- wrong input --------------------------------------------------------------------------------------------------


def fails(case: ScoringCase, capsys: pytest.CaptureFixture[str], *lists: Path) -> str:
    capsys.readouterr()
    assert main([*map(str, lists or [case.folder / "lists"]), "--out", str(case.folder / "out.csv")]) == 2
    assert not (case.folder / "out.csv").exists()
    return capsys.readouterr().err.strip()


@pytest.mark.parametrize("label", ["4", "-1", "jacket", "1.0", "9" * 5000], ids=lambda label: label[:8])
def test_a_decision_that_is_no_label(case: ScoringCase, capsys: pytest.CaptureFixture[str], label: str) -> None:
    decide(case.folder / "lists", lambda _: label)
    message = fails(case, capsys)
    assert f":2: decision: expected a label in [0, 4) or one of coat, dress, shirt, vest, got '{label}'" in message


def test_two_decisions_on_one_image(case: ScoringCase, capsys: pytest.CaptureFixture[str]) -> None:
    lists = case.folder / "lists"
    decide(lists, lambda row: row["noisy"])
    file = next(lists.glob("*_*.csv"))
    copy = lists / "copy.csv"
    copy.write_bytes(file.read_bytes())
    assert main([str(lists), "--out", str(case.folder / "same.csv")]) == 0  # the same twice is no contradiction
    rows = rows_of(copy)
    other = str((int(rows[0]["noisy"]) + 1) % CLASSES)
    write_rows(copy, [rows[0] | {"decision": other}])
    assert "expected the labels given at " in fails(case, capsys)


def test_lists_without_decisions_or_names(
    case: ScoringCase, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lists = case.folder / "lists"
    assert "the column `decision` is empty" in fails(case, capsys)
    assert "expected a list with the columns key, noisy, decision, got none called key" in fails(
        case, capsys, lists / "names.txt"
    )
    (tmp_path / "empty").mkdir()
    assert "no lists in it" in fails(case, capsys, tmp_path / "empty")
    (lists / "names.txt").unlink()
    assert "no names.txt beside it" in fails(case, capsys)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_lists_as_spreadsheets_of_other_countries_save_them(tmp_path: Path, separator: str) -> None:
    (tmp_path / "names.txt").write_text("coat\nvest\n")
    text = "key,noisy,suggested,decision\nshop 1/ä.png,0,1,vest\nb.png,1,0,\n"
    (tmp_path / "0_1.csv").write_text(text.replace(",", separator).replace("\n", "\r\n"), encoding="utf-8-sig")
    assert main([str(tmp_path / "0_1.csv"), "--out", str(tmp_path / "out.csv")]) == 0
    assert list(read_pairs(tmp_path / "out.csv", 2)) == [("shop 1/ä.png", 1, 0)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("ä.png,0,1".encode("latin-1"), "0_1.csv:3: expected UTF-8, got the byte 0xe4"),
        (b"x" * 200_000 + b",0,1", "0_1.csv:3: not a CSV row: field larger than field limit (131072)"),
        (b'"a.png,0,1', "0_1.csv:3: not a CSV row: unexpected end of data"),
        (b",0,1", "0_1.csv:3: key: expected the key of an image, got ''"),
        (b" ,0,1", "0_1.csv:3: key: expected the key of an image, got ' '"),
    ],
    ids=["Latin-1", "too long", "open quote", "no key", "blank key"],
)
def test_rows_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str], row: bytes, message: str) -> None:
    (tmp_path / "names.txt").write_text("coat\nvest\n")
    (tmp_path / "0_1.csv").write_bytes(b"key,noisy,decision\nb.png,1,0\n" + row + b"\n")
    assert main([str(tmp_path / "0_1.csv"), "--out", str(tmp_path / "out.csv")]) == 2
    assert capsys.readouterr().err.strip() == f"{tmp_path}/{message}"
    assert not (tmp_path / "out.csv").exists()


def test_a_row_without_a_key_column_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "names.txt").write_text("coat\nvest\n")
    (tmp_path / "0_1.csv").write_text("noisy,decision,key\n1,0\n")
    assert main([str(tmp_path / "0_1.csv"), "--out", str(tmp_path / "out.csv")]) == 2
    assert "0_1.csv:2: expected 3 fields, as the header, got fewer" in capsys.readouterr().err


def test_names_in_another_encoding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "names.txt").write_bytes("coat\nMäntel\n".encode("latin-1"))
    (tmp_path / "0_1.csv").write_text("key,noisy,decision\na.png,1,0\n")
    assert main([str(tmp_path), "--out", str(tmp_path / "new/out.csv")]) == 2
    assert "names.txt:2: expected UTF-8, got the byte 0xe4" in capsys.readouterr().err


def test_lists_are_never_overwritten(case: ScoringCase, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--scores", str(case.folder / "labels.parquet"), "--lists", str(case.folder / "lists"), "--force"]
    assert score_labels(arguments) == 2
    assert "lists: exists; remove it, or name another folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("other.png,1,1", "additions.csv: the image 'other.png' is not in the noisy list alone"),
        ("a.png,1,2", "additions.csv: the image 'a.png': expected the noisy label of the noisy list, 1, got 2"),
        ("a.png,1,1\na.png,1,1", "additions.csv:3: key 'a.png' appears twice"),
    ],
)
def test_additions_that_do_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str], row: str, message: str) -> None:
    (tmp_path / "clean.txt").write_text("c.png 0\n")
    (tmp_path / "noisy.txt").write_text("a.png 1\nb.png 0\n")
    (tmp_path / "additions.csv").write_text(f"key,clean,noisy\n{row}\n")
    lists = [str(tmp_path / name) for name in ("clean.txt", "noisy.txt", "out")]
    assert mix_datasets([*lists, "--image_root", ".", "--clean_additions", str(tmp_path / "additions.csv")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_class_names_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "decisions.csv").write_text("key,noisy,suggested,decision\na.jpg,0,1,vest\n")
    (tmp_path / "classes.txt").write_text("coat\nvest\n")
    out = tmp_path / "new" / "additions.csv"
    command = [str(tmp_path / "decisions.csv"), "--out", str(out), "--names"]
    (tmp_path / "none.txt").write_text("")
    assert main([*command, str(tmp_path / "none.txt")]) == 2
    assert "none.txt: expected class names, one a line, got an empty file" in capsys.readouterr().err
    assert not out.parent.exists()
    assert main([*command, str(tmp_path / "classes.txt")]) == 0
    assert list(read_pairs(out, 2)) == [("a.jpg", 1, 0)]


def test_nothing_that_is_read_is_written_over(case: ScoringCase, capsys: pytest.CaptureFixture[str]) -> None:
    lists = case.folder / "lists"
    decide(lists, lambda row: row["noisy"])
    one = next(lists.glob("*_*.csv"))
    before = one.read_text(encoding="utf-8-sig")
    assert main([str(lists), "--out", str(one), "--force"]) == 2
    assert "is an input, or named for two outputs" in capsys.readouterr().err
    assert main([str(lists), "--out", str(lists / "additions.csv")]) == 2
    assert "lies among the lists" in capsys.readouterr().err
    assert one.read_text(encoding="utf-8-sig") == before


@pytest.mark.parametrize(("row", "got"), [("a.jpg,0,1,1,9", "more"), ("a.jpg,0", "fewer")])
def test_rows_of_another_length(tmp_path: Path, capsys: pytest.CaptureFixture[str], row: str, got: str) -> None:
    (tmp_path / "names.txt").write_text("coat\nvest\n")
    (tmp_path / "list.csv").write_text(f"key,noisy,suggested,decision\n{row}\n")
    assert main([str(tmp_path / "list.csv"), "--out", str(tmp_path / "out.csv")]) == 2
    assert f"list.csv:2: expected 4 fields, as the header, got {got}" in capsys.readouterr().err
