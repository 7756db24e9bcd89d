# Every target does its own set-up: the first call makes .venv and builds the extension, later calls find them.
PYTHON ?= python3
VENV_PYTHON := .venv/bin/python
THREADS ?= 2
export OMP_NUM_THREADS ?= $(THREADS)
export PYTHON

# Stamps: one for the locked packages, one for the built extension. Editing what they depend on renews them.
PACKAGES := .venv/.packages-installed
EXTENSION := .venv/.extension-built
CSRC := $(wildcard csrc/*.h csrc/*.cpp csrc/*.cu)
FORMATTED := $(CSRC) $(wildcard csrc/audit/*.cpp csrc/audit/emulated/*.h)

.PHONY: help venv demo test test-gpu lint format audit bench wheel cuda-compile clean

help:
	@echo "make venv          virtual environment in .venv, locked packages, extension built in place"
	@echo "make demo          the whole chain on generated data"
	@echo "make test          all tests;  make test-gpu: the same, a missing GPU is a failure"
	@echo "make lint          ruff, mypy, clang-format;  make format: let them rewrite"
	@echo "make audit         every equation of the paper against the kernels: out/audit/audit.html"
	@echo "make bench         the speed tables (the machine should be idle)"
	@echo "make wheel         a wheel of library, commands, nets and solvers in dist/ (one to two minutes)"
	@echo "make cuda-compile  compile every CUDA kernel with nvcc; needs no GPU"
	@echo "make clean         remove what was built (not data/ and out/)"

venv: $(EXTENSION)

$(PACKAGES): requirements.lock scripts/make_venv.sh
	@sh scripts/make_venv.sh
	@touch $@

$(EXTENSION): $(PACKAGES) setup.py pyproject.toml $(CSRC)
	@echo "make venv: building the extension (one to two minutes)"
	@$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

demo: $(EXTENSION)
	@test -e data/demo || $(VENV_PYTHON) tools/make_demo_data.py data/demo
	@$(VENV_PYTHON) tools/reproduce_table.py --recipe demo --data data/demo --out out/demo

test: $(EXTENSION)
	@OMP_NUM_THREADS=1 $(VENV_PYTHON) -m pytest -n $(THREADS) tests

test-gpu: $(EXTENSION)
	@REQUIRE_CUDA=1 $(VENV_PYTHON) -m pytest tests

lint: $(PACKAGES)
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/clang-format --dry-run --Werror $(FORMATTED)

format: $(PACKAGES)
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .
	@.venv/bin/clang-format -i $(FORMATTED)

audit: $(EXTENSION)
	@OMP_NUM_THREADS=1 $(VENV_PYTHON) tools/audit_kernels.py --out out/audit/audit.md

bench: $(EXTENSION)
	@$(VENV_PYTHON) bench/label_noise.py
	@$(VENV_PYTHON) bench/caffenet.py
	@$(VENV_PYTHON) bench/data.py
	@$(VENV_PYTHON) bench/weights.py
	@$(VENV_PYTHON) bench/shared_trunk.py

# Modules that are no more would get into the wheel from an earlier build's folders.
wheel: $(PACKAGES)
	@rm -rf build/lib* build/bdist*
	@$(VENV_PYTHON) -m pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps --wheel-dir dist .
	@ls dist/*.whl

cuda-compile: $(PACKAGES)
	@$(VENV_PYTHON) scripts/cuda_compile.py

clean:
	rm -rf .venv build dist *.egg-info caffe_compat/*.so .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
