"""What is wrong with the description of a layer that reads ahead: told once, and by command lines, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe_compat import Net
from caffe_compat.cli.time_net import main
from caffe_compat.errors import CaffeCompatError

NET = """
layer {{ name: "d" type: "{kind}" top: "data" top: "label" {options} }}
layer {{ name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param {{ num_output: 4 }} }}
"""


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("HDF5Data", 'hdf5_data_param { source: "list.txt" }', "hdf5_data_param.batch_size: expected > 0, got 0"),
        ("HDF5Data", "hdf5_data_param { batch_size: 2 }", "hdf5_data_param.source"),
        ("ImageData", 'image_data_param { source: "list.txt" batch_size: 0 }', "image_data_param.batch_size"),
        ("ImageData", 'image_data_param { source: "list.txt" batch_size: 2 new_height: 3 }', "image_data_param.new_"),
        ("WindowData", 'window_data_param { source: "list.txt" batch_size: 0 }', "window_data_param.batch_size"),
    ],
)
def test_the_error_is_not_its_own_cause(
    kind: str, options: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """A command line that looks for what caused it would look for ever."""
    monkeypatch.chdir(tmp_path)
    Path("list.txt").write_text("a.h5 0\n")
    Path("net.prototxt").write_text(NET.format(kind=kind, options=options))
    with pytest.raises(CaffeCompatError) as caught:
        Net("net.prototxt", "TRAIN")
    assert caught.value.__cause__ is not caught.value
    assert main(["--model", "net.prototxt"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f'net.prototxt: layer "d" ({kind}): {message}')
