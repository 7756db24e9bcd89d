"""``import caffe_compat`` alone is quick, and gives every public name once it is used."""

import subprocess
import sys

import pytest

import caffe_compat


def run(program: str) -> str:
    """What a new interpreter prints: nothing has been imported there yet."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", caffe_compat.__all__)
def test_every_public_name_needs_no_further_import(name: str) -> None:
    assert run(f"import caffe_compat; print(caffe_compat.{name}.__name__)").split(".")[-1].strip() == name
    assert name in dir(caffe_compat)


def test_pycaffe_is_served_as_a_module() -> None:
    assert "pycaffe" in caffe_compat.__all__
    assert run("import caffe_compat; print(caffe_compat.pycaffe.TEST)") == "1\n"


def test_nothing_is_imported_before_it_is_used() -> None:
    program = "import sys, caffe_compat; print({'torch', 'cv2', 'caffe_compat.pycaffe'} & set(sys.modules))"
    assert run(program) == "set()\n"


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'caffe_compat' has no attribute 'Nett'"):
        caffe_compat.Nett  # noqa: B018
