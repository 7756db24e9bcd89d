"""Which results and cut runs count as the recipe's own: settings, data and pre-trained weights. Nothing is trained."""

import dataclasses
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from caffe_compat.cli.reproduce_table import main
from caffe_compat.errors import CaffeCompatError
from caffe_compat.evaluation.experiments import chain as chains
from caffe_compat.evaluation.experiments import edits
from caffe_compat.evaluation.experiments.catalogue import RECIPES
from caffe_compat.evaluation.experiments.chain import Chain, StageFailed
from caffe_compat.evaluation.experiments.identity import TELLING, data_digest, identity, write_identity
from caffe_compat.evaluation.experiments.jobs import Job, files_read, write_resolved
from caffe_compat.evaluation.experiments.results import Result, write_result

RECIPE = RECIPES["cifar10n"]
OTHERS = "other nets, solvers or starts than the recipe has now"


@pytest.fixture(autouse=True)
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trainer that fails at once: StageFailed says that a training was begun."""
    monkeypatch.setattr(chains, "trainer", lambda: [sys.executable, "-c", "raise SystemExit(3)"])


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    data = tmp_path / "data"
    data.mkdir()
    for name in files_read(RECIPE):
        if name not in TELLING:  # nothing reads the others here
            (data / name).mkdir()
    np.save(data / "mixed_index.npy", np.arange(6))
    return Chain(RECIPE, data, tmp_path / "out")


def job_of(chain: Chain, stage: str) -> Job:
    return next(job for job in chain.jobs(1) if job.stage.name == stage)


def finish(job: Job, **known: str | None) -> None:
    """Write a result of the job; ``known`` takes the place of fields of its identity."""
    blank = {field.name: None for field in dataclasses.fields(Result)}
    facts = {"recipe": job.recipe.name, "stage": job.stage.name, "seed": job.seed, "test": {"accuracy": 0.5}}
    facts |= {"seconds": 1.0, "test_history": {}, "validation_history": {}}
    job.folder.mkdir(parents=True, exist_ok=True)
    write_result(job, Result(**{**blank, **facts, **dataclasses.asdict(identity(job)), **known}))


def cut(job: Job) -> None:
    """Leave what a run cut after three iterations leaves."""
    job.folder.mkdir(parents=True)
    write_resolved(job)
    write_identity(job, identity(job))
    (job.folder / f"{job.stage.name}_iter_3.solverstate").touch()


def with_another_rate(chain: Chain, stage: str) -> Chain:
    edit = edits.schedule(base_lr=0.5, stepsize=10, max_iter=5000)
    stages = [replace(each, edits=(*each.edits, edit)) if each.name == stage else each for each in chain.recipe.stages]
    return replace(chain, recipe=replace(chain.recipe, stages=tuple(stages)))


def test_cut_run_is_not_taken_up_after_an_earlier_stage_has_changed(chain: Chain):
    finish(job_of(chain, "clean"))
    cut(job_of(chain, "noisy_as_truth"))
    with pytest.raises(StageFailed):
        chain.run([1], ["noisy_as_truth"])
    later = with_another_rate(chain, "clean")
    finish(job_of(later, "clean"))
    with pytest.raises(CaffeCompatError, match=f"noisy_as_truth: a run cut short, begun with {OTHERS}"):
        later.run([1], ["noisy_as_truth"])


def test_cut_run_is_taken_up_however_its_folders_are_spelled(chain: Chain, monkeypatch: pytest.MonkeyPatch):
    cut(job_of(chain, "clean"))
    monkeypatch.chdir(chain.out.parent)
    with pytest.raises(StageFailed):
        replace(chain, data=Path("data"), out=Path(os.path.relpath(chain.out))).run([1], ["clean"])


def test_cut_run_is_not_taken_up_with_other_data(chain: Chain):
    cut(job_of(chain, "clean"))
    np.save(chain.data / "mixed_index.npy", np.arange(6)[::-1])
    with pytest.raises(CaffeCompatError, match="clean: a run cut short, begun with other data than .*/data has now"):
        chain.run([1], ["clean"])


def test_cut_run_that_kept_no_identity_is_judged_by_its_prototxts(chain: Chain):
    cut(job_of(chain, "clean"))
    job_of(chain, "clean").identity_file.unlink()
    with pytest.raises(CaffeCompatError, match="begun with other settings"):
        with_another_rate(chain, "clean").run([1], ["clean"])
    with pytest.raises(StageFailed):
        chain.run([1], ["clean"])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"settings": "00", "pretrained": "no"}', '{"more": 1}'])
def test_broken_identity_is_named(chain: Chain, text: str):
    cut(job_of(chain, "clean"))
    job_of(chain, "clean").identity_file.write_text(text)
    with pytest.raises(CaffeCompatError, match=r"clean/identity\.json: not what a run was begun with"):
        chain.run([1], ["clean"])


def test_result_of_other_data_is_refused(chain: Chain):
    job = job_of(chain, "clean")
    finish(job)
    assert chain.finished(job) is not None
    np.save(chain.data / "mixed_index.npy", np.arange(6)[::-1])
    with pytest.raises(CaffeCompatError, match="clean: made with other data than .*/data has now"):
        chain.finished(job)
    finish(job, data=None)
    assert chain.finished(job) is not None, "results of before do not say what their data were"
    finish(job)
    elsewhere = replace(chain, data=chain.out / "none")
    assert elsewhere.finished(job_of(elsewhere, "clean")) is not None, "data that are not there say nothing"


@pytest.mark.parametrize(
    "name", ["confusion.npy", "pairs.csv", "mixed_index.npy.group.json", "mixed_images_lmdb/group.json"]
)
def test_every_file_that_tells_data_apart_counts(chain: Chain, name: str):
    before = data_digest(chain.data)
    (chain.data / name).parent.mkdir(exist_ok=True)
    (chain.data / name).write_text("one")
    one = data_digest(chain.data)
    (chain.data / name).write_text("other")
    os.utime(chain.data / name, ns=(0, 0))  # the file system's clock may be too coarse to tell the two apart
    assert len({before, one, data_digest(chain.data)}) == 3


def test_results_from_pretrained_weights_are_shown_without_them(
    chain: Chain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    weights = tmp_path / "weights"
    weights.write_text("one")
    chain = Chain(RECIPES["clothing1m"], chain.data, chain.out, pretrained=weights)
    for stage in ("clean_pretrained", "bottom_up"):
        finish(job_of(chain, stage))
    command = ["--recipe", "clothing1m", "--data", str(chain.data), "--out", str(chain.out), "--table_only"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    cells = {line.split(" | ")[0]: line.split(" | ")[4] for line in printed.splitlines() if line.startswith("| ")}
    assert cells["| clean only, pre-trained"] == cells["| bottom-up"] == "50.00"
    assert cells["| ours"] == "left out" and cells["| clean only"] == "missing"
    left_out = "`noisy_as_truth_pretrained`, `ntype`, `ours`, `noisy_then_clean`, `noisy_only`, `glc`, `forward`"
    assert f"(`--pretrained`): {left_out}." in printed

    assert main([*command, "--pretrained", str(weights)]) == 0
    other = tmp_path / "other"
    other.write_text("other")
    for stage in ("clean_pretrained", "bottom_up"):
        assert main([*command, "--pretrained", str(other)]) == 2
        assert f"{stage}: made with {OTHERS}" in capsys.readouterr().err
        job_of(chain, stage).result_file.unlink()


def test_result_with_a_digest_that_is_none(chain: Chain):
    job = job_of(chain, "clean")
    finish(job, pretrained="none")
    with pytest.raises(CaffeCompatError, match=r"result\.json: not the result of a stage"):
        chain.finished(job)
    fields = json.loads(job.result_file.read_text())
    del fields["pretrained"], fields["data"]
    job.result_file.write_text(json.dumps(fields))
    assert chain.finished(job) is not None
