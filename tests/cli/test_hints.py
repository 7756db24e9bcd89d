"""Which command makes a file that is missing."""

from pathlib import Path

import pytest

from caffe_compat.cli.hints import hint
from caffe_compat.errors import DataError, WeightsError


def caused_by(error: BaseException) -> BaseException:
    try:
        raise RuntimeError("building the net") from error
    except RuntimeError as exc:
        return exc


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (DataError("missing", path="data/demo/no_lmdb"), "data/demo: tools/make_demo_data.py data/demo makes it"),
        (FileNotFoundError(2, "missing", "/srv/data/cifar10n/no.binaryproto"), "tools/import_cifar10n.py ROOT"),
        (WeightsError("missing", path="data/clothing1m/init_joint.caffemodel"), "tools/convert_caffemodel.py makes it"),
        (WeightsError("missing", path="data/mine/init_joint.caffemodel"), "see prototxt/README.md"),
        (WeightsError("missing", path="data/clothing1m/init_joint_release.caffemodel"), "see prototxt/README.md"),
    ],
)
def test_files_of_the_projects_nets(error: Exception, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for each in (error, caused_by(error)):
        assert words in (hint(each) or "")


def test_an_error_that_is_its_own_cause_ends() -> None:
    error = DataError("wrong", path=None)
    error.__cause__ = error
    assert hint(error) is None


def test_files_of_others_get_no_hint(tmp_path: Path):
    assert hint(DataError("missing", path=str(tmp_path / "mine/no_lmdb"))) is None
    there = tmp_path / "data/demo/broken.binaryproto"
    there.parent.mkdir(parents=True)
    there.touch()
    assert hint(DataError("broken", path=str(there))) is None
