"""The audit itself: it passes on the code as it is, and every part of it can fail."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from caffe_compat.label_noise.audit import building, confusion_checks, model_checks, mutants, questions, tags
from caffe_compat.label_noise.audit.batches import draw_batch, small_batches
from caffe_compat.label_noise.audit.exact import brute_force, loops
from caffe_compat.label_noise.audit.findings import Finding, Findings, Subject
from caffe_compat.label_noise.audit.kernels import DTYPES, Extension, Harness
from caffe_compat.label_noise.audit.ledger import LEDGER
from caffe_compat.label_noise.audit.mutations import Mutation, automatic_mutations, hand_made_mutations
from caffe_compat.label_noise.confusion import estimate_from_counts

HEADER = building.CSRC / "label_noise_math.h"


@pytest.fixture(scope="module")
def device_code(tmp_path_factory: pytest.TempPathFactory) -> Harness:
    return Harness("device code on the host", building.compile_device_code(tmp_path_factory.mktemp("device")))


def mutant(before: str, after: str, folder: Path) -> Harness:
    text = HEADER.read_text()
    assert text.count(before) == 1
    return Harness("mutant", building.compile_formulas(folder, "mutant", {HEADER.name: text.replace(before, after)}))


def rows_that_fail(kernels: Harness) -> set[str]:
    return {finding.row for finding in questions.ShortExamination()(kernels) if not finding.passed}


def test_nothing_fails_on_the_code_as_it_is(device_code: Harness) -> None:
    examination = questions.FullExamination(np.random.default_rng(7), 8)
    for kernels in (Extension(), device_code):
        findings = Findings()
        findings.add(examination(kernels))
        assert findings.count > 1000 and findings.failures == []


@pytest.mark.parametrize(
    ("before", "after", "row"),
    [
        ("weight * (prediction - posterior)", "weight * (posterior - prediction)", "E7"),
        ("in.scale * in.update_noise_lr, in)", "in.scale, in)", "E7"),
        ("joint[kNoiseFree] + joint[kRandom] + joint[kConfusing]", "joint[kNoiseFree] + joint[kRandom]", "E3"),
        ("-std::log(T(in.num_classes - 1))", "-std::log(T(in.num_classes))", "E6"),
        ("1 / T(in.num_classes - 1)", "1 / T(in.num_classes)", "E1"),
    ],
)
def test_a_fault_fails_its_row(before: str, after: str, row: str, tmp_path: Path) -> None:
    assert row in rows_that_fail(mutant(before, after, tmp_path))


def test_a_fault_of_a_last_digit_is_seen(tmp_path: Path) -> None:
    """A coefficient of exp that is off by a quarter moves a probability by one part in a million."""
    text = (building.CSRC / "number_math.h").read_text().replace("0.001381454f", "0.0017268175f")
    assert "N1" in rows_that_fail(Harness("mutant", building.compile_formulas(tmp_path, "m", {"number_math.h": text})))


def test_the_two_witnesses_agree() -> None:
    for batch in small_batches(np.random.default_rng(0), 4):
        exact, in_loops = brute_force(batch), loops(batch)
        for name in vars(exact):
            np.testing.assert_allclose(getattr(in_loops, name), getattr(exact, name), rtol=1e-12, atol=1e-14)


def test_every_tag_has_a_row_and_every_row_a_tag() -> None:
    places = tags.tagged_places()
    assert tags.unmatched([row.tag for row in LEDGER], places) == []
    assert len(tags.unmatched(["E99", *(row.tag for row in LEDGER)], places)) == 1
    assert len(tags.unmatched([row.tag for row in LEDGER if row.tag != "E5"], places)) == 1


def test_tags_know_their_functions() -> None:
    found = {(place.tag, place.function) for place in tags.tagged_places()}
    wanted = {("E5", "eq5_posterior"), ("E6", "eq6_q"), ("E7", "eq7_gradient"), ("E14", "estimate_from_counts")}
    assert wanted <= found


def test_not_a_number_fails() -> None:
    subject = Subject("cpu", "float32", "case")
    assert not subject.compare("E5", "w", [0.0, np.nan], [0.0, 0.0], 1.0).passed
    assert subject.compare("E5", "w", [1.0], [1.0], 0).passed
    worst = subject.compare("E5", "w", [1.0, 2.0], [1.5, 2.1], [10.0, 0.05])
    assert not worst.passed and worst.error == pytest.approx(0.1)


def test_findings_keep_the_worst() -> None:
    findings = Findings()
    findings.add(Finding("E1", "w", "cpu", "float32", str(error), error, 1.0) for error in (0.1, 3.0, 0.2))
    assert findings.worst["E1", "w", "cpu", "float32"].case == "3.0" and len(findings.failures) == 1
    findings.add([Finding("E1", "w", "cpu", "float32", "wide", 9.0, 100.0)])  # larger, and allowed
    assert findings.worst["E1", "w", "cpu", "float32"].case == "3.0"
    assert findings.largest["E1", "cpu", "float32"] == 9.0


# --- faults -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "faults"),
    [
        ("  x = a + b;  // a - b", ["x = a - b;"]),
        ("const V* y = -f(2);", ["const V* y = f(2);", "const V* y = -f(3);"]),
        ("return c > 0.5f ? g(a, b) : h;", [
            "return c <= 0.5f ? g(a, b) : h;", "return c > 0.625f ? g(a, b) : h;", "return c > 0.5f ? h : g(a, b);"
        ]),
        ("template <typename T>", []),
        ("V larger(V x) { return y; }", ["V smaller(V x) { return y; }"]),
        ("return x << 23;", ["return x >> 23;", "return x << 24;"]),
    ],
)  # fmt: skip
def test_automatic_mutations(line: str, faults: list[str]) -> None:
    found = [mutation.after for mutation in automatic_mutations("f.h", line)]
    assert found == faults


def test_a_mutation_changes_its_line_alone() -> None:
    text = "a = 1;\nb = a + a;\n"
    (plus,) = (m for m in automatic_mutations("f.h", text) if "+" in m.fault)
    assert plus.apply(text) == "a = 1;\nb = a - a;\n"


def test_a_hand_made_fault_that_has_lost_its_place_is_an_error() -> None:
    with pytest.raises(ValueError, match="has no place"):
        list(hand_made_mutations(HEADER.name, "nothing of it"))


def test_verdicts(tmp_path: Path) -> None:
    """Caught by a row, by a crash, refused by the compiler, not noticed."""
    text = HEADER.read_text()
    short = questions.ShortExamination()

    def verdict(before: str, after: str) -> mutants.Verdict:
        mutation = Mutation(HEADER.name, text[: text.index(before)].count("\n") + 1, before, after, "test")
        with mutants.ThreadPoolExecutor(1) as pool:
            patch = {HEADER.name: mutation.apply(text)}
            return mutants.judge_library(
                mutation, pool.submit(building.compile_formulas, tmp_path, "judged", patch), short
            )

    caught = verdict("return grad_loss * grad;", "return grad;")
    assert (caught.outcome, caught.by) == ("caught", "E7")
    crash = verdict("return grad_loss * grad;", "__builtin_trap();")
    assert crash.outcome == "caught" and "crashed" in crash.how
    assert verdict("return grad_loss * grad;", "return grad_loss +* grad;").outcome == "not a program"
    assert verdict("return grad_loss * grad;", "return grad * grad_loss;").outcome == "survived"


def test_faults_in_the_estimator_are_found() -> None:
    """Ties to the smaller k*, the rule of C's columns, and the objective, one each."""
    path = Path(confusion_checks.__file__).parents[1] / "confusion.py"
    text = path.read_text()
    for before, after in (
        ("[-1])\n    return k + 1", "[0])\n    return k + 1"),
        ("/ mass  # [E14]", "/ pairs.sum()  # [E14]"),
    ):
        assert text.count(before) == 1
        module = mutants.module_of(text.replace(before, after), path)
        found = confusion_checks.check_estimates(module.estimate_from_counts, np.random.default_rng(0), 60)
        assert any(not finding.passed for finding in found)
    found = confusion_checks.check_estimates(estimate_from_counts, np.random.default_rng(0), 60)
    assert all(finding.passed for finding in found)


# --- the emulated warp ------------------------------------------------------------------------------------------


def test_the_emulated_warp_answers_as_the_cpu(device_code: Harness) -> None:
    """33 and 100 classes: lanes with one class more than others, and lanes without any."""
    for num_classes in (3, 33, 100):
        batch = draw_batch(np.random.default_rng(1), "warp", 5, num_classes, 2.0)
        for dtype in DTYPES:
            found = list(model_checks.check_agreement(device_code, Extension(), dtype, batch))
            assert found and all(finding.passed for finding in found)


def test_the_emulated_warp_ends_where_a_gpu_would_hang(tmp_path: Path) -> None:
    """A shuffle that half of the lanes leave out."""
    program = tmp_path / "divergent.cpp"
    program.write_text(
        '#include "cuda_runtime.h"\n'
        "void kernel(int) { if (threadIdx.x % 2) __shfl_xor_sync(0xffffffffu, 1.0f, 1); }\n"
        "int main() { emulated::launch(kernel, 1, 32, 0); }\n"
    )
    include = building.CSRC / "audit" / "emulated"
    subprocess.run(
        [building.compiler(), "-std=c++17", f"-I{include}", program, "-o", tmp_path / "divergent"], check=True
    )
    result = subprocess.run([tmp_path / "divergent"], capture_output=True, text=True, check=False)
    assert result.returncode != 0 and "16 of 32 lanes ended" in result.stderr


def test_a_launch_that_is_spelled_otherwise_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (building.CSRC / "label_noise_cuda.cu").read_text().replace(", 0, stream>>>", ">>>", 1)
    (tmp_path / "label_noise_cuda.cu").write_text(source)
    monkeypatch.setattr(building, "CSRC", tmp_path)
    with pytest.raises(ValueError, match=r"every launch as kernel<<<blocks, threads, 0, stream>>>"):
        building.compile_device_code(tmp_path)
