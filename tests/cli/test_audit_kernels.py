"""tools/audit_kernels.py: the three reports, the exit codes."""

from __future__ import annotations

import html.parser
import json
from pathlib import Path

import pytest

from caffe_compat.cli.audit_kernels import main
from caffe_compat.label_noise.audit import run
from caffe_compat.label_noise.audit.findings import Finding, Findings
from caffe_compat.label_noise.audit.ledger import LEDGER


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audit") / "new" / "audit.md"
    assert main(["--out", str(path), "--seed", "3", "--cases", "4", "--device", "cpu", "--mutations", "none"]) == 0
    return path


def test_every_row_is_in_the_reports(out: Path) -> None:
    content = json.loads(out.with_suffix(".json").read_text())
    assert content["passed"] and content["seed"] == 3 and not content["faults"]["were put in"]
    assert [row["tag"] for row in content["ledger"]] == [row.tag for row in LEDGER]
    assert all(row["passed"] and row["checks"] and row["where"] for row in content["ledger"])
    for row in LEDGER:
        assert f"[{row.tag}] {row.name}" in out.read_text()
        assert f'id="{row.tag}"' in out.with_suffix(".html").read_text()


def test_a_column_that_was_not_run_says_so(out: Path) -> None:
    assert "**cuda: not run**" in out.read_text()
    assert "<strong>cuda: not run</strong>" in out.with_suffix(".html").read_text()


def test_the_page_stands_alone(out: Path) -> None:
    """No other file, and every element closed."""
    page = out.with_suffix(".html").read_text()
    assert "http" not in page and "<script" not in page and "src=" not in page
    open_elements: list[str] = []

    class Parser(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "br"):
                open_elements.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert open_elements.pop() == tag

    Parser().feed(page)
    assert open_elements == []


def test_a_failure_is_told_and_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failed(*_: object) -> run.Audit:
        findings = Findings()
        findings.add([Finding("E5", "a witness", "cpu", "float32", "a case", 0.5, 0.1)])
        return run.Audit(1, 1, columns=["cpu"], findings=findings)

    monkeypatch.setattr(run, "run_audit", failed)
    assert main(["--out", str(tmp_path / "audit.md")]) == 1
    told = capsys.readouterr().out
    assert "FAILED" in told and "[E5] a witness (cpu, float32; a case): error 0.5, allowed 0.1" in told
    assert "[E7] was not checked by anything" in told


@pytest.mark.skipif("__import__('torch').cuda.is_available()", reason="there is a GPU")
def test_a_gpu_that_is_asked_for_and_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path / "audit.md"), "--device", "cuda", "--cases", "1"]) == 2
    assert "no GPU" in capsys.readouterr().err
