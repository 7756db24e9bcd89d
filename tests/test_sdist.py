"""The source distribution has all that a wheel is built of."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PARTS = "MANIFEST.in README.md LICENSE pyproject.toml setup.py requirements.lock caffe_compat csrc prototxt".split()


def test_headers_nets_and_solvers_are_in_it(tmp_path: Path) -> None:
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, tmp_path / part, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        else:
            shutil.copy(source, tmp_path)
    build = "from setuptools import build_meta; build_meta.build_sdist('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)
    (archive,) = (tmp_path / "dist").iterdir()
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    wanted = [path for folder in ("csrc", "prototxt") for path in (ROOT / folder).rglob("*") if path.is_file()]
    assert wanted and {str(path.relative_to(ROOT)) for path in wanted} - names == set()
