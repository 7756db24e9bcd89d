#!/bin/sh
# Make the virtual environment .venv with the locked dependencies. Called by `make venv`; says what it does, and
# names the package to install when the machine lacks something.
set -eu

python=${PYTHON:-python3}
venv=.venv

fail() {
    echo "make venv: $1" >&2
    exit 1
}

command -v "$python" >/dev/null 2>&1 ||
    fail "no $python here; install Python 3.11 or newer (Debian, Ubuntu: apt-get install python3 python3-venv python3-dev)"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$python is $("$python" -V 2>&1), Python 3.11 or newer is needed; name another one with make PYTHON=python3.x"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
"$python" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
    fail "$python has no venv module; install it (Debian, Ubuntu: apt-get install python$version-venv)"
headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
[ -f "$headers/Python.h" ] ||
    fail "Python's C headers are missing ($headers/Python.h); install them (Debian, Ubuntu: apt-get install python$version-dev)"
command -v "${CXX:-c++}" >/dev/null 2>&1 ||
    fail "no C++ compiler (${CXX:-c++}); install one (Debian, Ubuntu: apt-get install g++)"

if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import pip' >/dev/null 2>&1; then
    echo "make venv: making $venv with $("$python" -V)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi
echo "make venv: installing requirements.lock into $venv (PyTorch is large: some minutes on a slow line)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.lock
