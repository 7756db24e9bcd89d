"""``import caffe_compat`` alone is quick, and gives every public name once it is used."""

import subprocess
import sys

import pytest

import caffe_compat

# In a new interpreter, where nothing has been imported yet.
PROGRAM = """
import sys
import caffe_compat
print({"torch", "cv2", "caffe_compat.pycaffe"} & set(sys.modules))
print(caffe_compat.pycaffe.TEST)
print(*(getattr(caffe_compat, name).__name__.split(".")[-1] for name in caffe_compat.__all__))
"""


def test_public_names_need_no_further_import_and_none_before_they_are_used() -> None:
    printed = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == ["set()", "1", " ".join(caffe_compat.__all__)]
    assert "pycaffe" in caffe_compat.__all__ and set(caffe_compat.__all__) <= set(dir(caffe_compat))


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'caffe_compat' has no attribute 'Nett'"):
        caffe_compat.Nett  # noqa: B018
