"""Scripts beside tools/caffe.py, which Python finds before any other ``caffe``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

LAYER = """
import caffe

class Twice(caffe.Layer):
    def setup(self, bottom, top):
        assert caffe.io.Transformer and caffe.TRAIN == self.phase

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = 2 * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 2 * top[0].diff
"""
NET = """
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param { shape { dim: [2, 3] } shape { dim: [2, 3] } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 } }
layer { name: "twice" type: "Python" bottom: "ip" top: "twice" python_param { module: "twice_layer" layer: "Twice" } }
layer { name: "loss" type: "EuclideanLoss" bottom: "twice" bottom: "label" top: "loss" }
"""  # noqa: E501
SOLVER = 'net: "net.prototxt" max_iter: 2 base_lr: 0.1 lr_policy: "fixed" snapshot_prefix: "s" solver_mode: CPU'


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])}
    return subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True)


def test_python_layers_that_import_caffe_run_under_the_tools(tmp_path: Path) -> None:
    for name, text in (("twice_layer.py", LAYER), ("net.prototxt", NET), ("solver.prototxt", SOLVER)):
        (tmp_path / name).write_text(text)
    done = run(tmp_path, str(ROOT / "tools/caffe.py"), "train", "-solver", "solver.prototxt")
    assert done.returncode == 0, done.stderr
    assert "Optimization Done." in done.stderr


def test_a_script_beside_tools_caffe_py_that_installs_the_face(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools/caffe.py", tmp_path / "tools")
    script = tmp_path / "tools/mine.py"
    script.write_text(
        "import caffe_compat.pycaffe\ncaffe_compat.pycaffe.install()\nimport caffe\nfrom caffe import layers as L\n"
        "import caffe.io\nfrom caffe.proto import caffe_pb2\nprint(caffe.Net.__name__, caffe is caffe_compat.pycaffe)\n"
    )
    done = run(tmp_path, str(script))
    assert done.stdout == "Net True\n", done.stderr
