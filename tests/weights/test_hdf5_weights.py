"""Caffe's HDF5 weights and solver states: real Caffe's read and written again, Caffe's rules, broken files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from mutations import mutants

from caffe_compat import Net
from caffe_compat.errors import WeightsError
from caffe_compat.weights import (
    SolverState,
    copy_weights,
    read_caffemodel,
    read_layers,
    read_solverstate,
    save_hdf5,
    write_solverstate,
)

RUN = Path(__file__).parents[1] / "golden" / "run"
MODEL = RUN / "snap_HDF5_iter_10.caffemodel.h5"
STATE = RUN / "snap_HDF5_iter_10.solverstate.h5"
IP = "inner_product_param { num_output: 2 }"
SHARE = 'param { name: "w" } param { name: "b" }'
WEIGHT, BIAS = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([7, 8], np.float32)


def small_net(*layers: str) -> Net:
    """A net over an input of shape (1, 3) with these layers (``name: options of InnerProduct``) side by side."""
    text = 'name: "small" layer { name: "input" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 } } } '
    for layer in layers:
        name, _, options = layer.partition(":")
        text += f'layer {{ name: "{name}" type: "InnerProduct" bottom: "x" top: "{name}" {options} }} '
    return Net(text)


def described(path: Path) -> dict[str, object]:
    """All that is in a file: groups, and of datasets type, shape and bytes."""
    found: dict[str, object] = {}

    def describe(name: str, member: object) -> None:
        if isinstance(member, h5py.Dataset):
            kind = member.id.get_type()
            string = (
                (kind.get_size(), kind.get_strpad(), kind.get_cset()) if isinstance(kind, h5py.h5t.TypeStringID) else ()
            )
            found[name] = (member.dtype.str, string, member.shape, np.asarray(member[()]).tobytes())
        else:
            found[name] = "group"

    with h5py.File(path) as file:
        file.visititems(describe)
    return found


def write(path: Path, **data: np.ndarray) -> Path:
    """A file with these datasets; ``__`` in a name is a slash."""
    with h5py.File(path, "w") as file:
        for name, array in data.items():
            file[name.replace("__", "/")] = array
    return path


# --- what Caffe wrote ---------------------------------------------------------------------------------------------


def test_caffes_weights_are_those_of_its_binary_file() -> None:
    """The two runs had the same seed and printed the same losses."""
    ours, theirs = read_caffemodel(MODEL), read_caffemodel(RUN / "snap_BINARYPROTO_iter_10.caffemodel")
    assert ours.keys() == theirs.keys()
    for name, arrays in theirs.items():
        for mine, other in zip(ours[name], arrays, strict=True):
            assert mine.dtype == np.float32
            np.testing.assert_array_equal(mine, other)


def test_layers_without_blobs_are_there_too() -> None:
    names = [layer.name for layer in read_layers(MODEL)]
    assert names == ["conv1", "data", "ip1", "loss", "norm1", "pool1", "relu1"]


def test_a_net_is_written_as_caffe_wrote_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(RUN)
    net = Net("train_val.prototxt", "TRAIN", weights=MODEL.name, stages=[""])
    net.save_weights(tmp_path / "again.caffemodel.h5")
    assert described(tmp_path / "again.caffemodel.h5") == described(MODEL)


def test_a_solver_state_is_read_and_written_as_caffe_wrote_it(tmp_path: Path) -> None:
    state = read_solverstate(STATE)
    assert (state.iteration, state.current_step, state.learned_net) == (10, 0, MODEL.name)
    assert [array.shape for array in state.history] == [(8, 3, 3, 3), (8,), (4, 392), (4,)]
    write_solverstate(tmp_path / "again.solverstate.h5", state)
    assert described(tmp_path / "again.solverstate.h5") == described(STATE)


# --- copying into a net, by Caffe's rules -------------------------------------------------------------------------


def test_a_shared_blob_is_written_once(tmp_path: Path) -> None:
    net = small_net(f"first: {SHARE} {IP}", f"second: {SHARE} {IP}", f"third: {IP}")
    net.params["first"][0].data.copy_(net.params["first"][0].data.new_tensor(WEIGHT))
    save_hdf5(net, tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5") as file:
        assert {name: list(group) for name, group in file["data"].items()} == {
            "first": ["0", "1"], "second": [], "third": ["0", "1"], "input": [], "x_input_0_split": [],
        }  # fmt: skip
    again = small_net(f"first: {SHARE} {IP}", f"second: {SHARE} {IP}", f"third: {IP}")
    copy_weights(again, tmp_path / "x.h5")
    np.testing.assert_array_equal(again.params["second"][0].detach(), WEIGHT)


NAMESAKES = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "a" inner_product_param { num_output: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "a" top: "b" inner_product_param { num_output: 2 } }
"""


def test_two_layers_of_one_name_are_not_written(tmp_path: Path) -> None:
    """Caffe creates the group of that name once more, which fails, and ends."""
    with pytest.raises(WeightsError, match="HDF5 holds one layer of a name, the net has 2") as caught:
        save_hdf5(Net(NAMESAKES), tmp_path / "x.h5")
    assert (caught.value.path, caught.value.layer) == (str(tmp_path / "x.h5"), "ip")
    assert not list(tmp_path.iterdir())


def test_of_a_nets_layers_with_one_name_the_first_is_filled(tmp_path: Path) -> None:
    net = Net(NAMESAKES)
    copy_weights(net, write(tmp_path / "x.h5", data__ip__0=WEIGHT, data__ip__1=BIAS))
    assert [layer.blobs[1].tolist() for layer in net.layers_in_order[1:]] == [BIAS.tolist(), [0, 0]]


def test_a_blob_borrowed_from_a_later_layer_of_one_name_may_be_missing(tmp_path: Path) -> None:
    """Its owner is the second layer called "ip", of which ``Net.layers`` tells nothing."""
    shared = 'param { name: "w" }'
    net = Net(NAMESAKES.replace('top: "b"', f'top: "b" {shared}') + f"""
        layer {{ name: "sharer" type: "InnerProduct" bottom: "b" top: "c" {shared} {IP} }}""")  # fmt: skip
    copy_weights(net, write(tmp_path / "x.h5", data__sharer__1=BIAS))
    assert net.params["sharer"][1].tolist() == BIAS.tolist()


@pytest.mark.parametrize(
    ("layer", "problem"),
    [
        ({"0": WEIGHT}, "Incompatible number of blobs for layer ip: expected 2, got 1"),
        ({"1": BIAS}, "Incompatible number of blobs for layer ip: expected 2, got 1"),
        ({"0": WEIGHT, "1": BIAS, "2": BIAS}, "Incompatible number of blobs for layer ip: expected 2, got 3"),
        ({"0": WEIGHT, "2": BIAS}, "Incompatible number of blobs for layer ip: expected 2, got 2"),
        (
            {"0": WEIGHT[None, None], "1": BIAS},
            "Cannot load blob from hdf5; shape mismatch. Source shape is 1 1 2 3 (6) target shape is 2 3 (6)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_caffes_words(
    layer: dict[str, np.ndarray], problem: str, tmp_path: Path
) -> None:
    net, path = (
        small_net(f"ip: {IP}"),
        write(tmp_path / "x.h5", **{f"data__ip__{n}": blob for n, blob in layer.items()}),
    )
    with pytest.raises(WeightsError) as caught:
        copy_weights(net, path)
    assert (caught.value.path, caught.value.layer, caught.value.problem) == (str(path), "ip", problem)
    assert not net.params["ip"][0].any()


def test_layers_that_the_net_lacks_are_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    net, path = small_net(f"ip: {IP}"), write(tmp_path / "x", data__b__0=BIAS, data__ip__0=WEIGHT, data__ip__1=BIAS)
    caplog.set_level("INFO", "caffe_compat")
    caplog.clear()
    copy_weights(net, path)
    assert caplog.messages == ["Ignoring source layer b"]
    np.testing.assert_array_equal(net.params["ip"][1].detach(), BIAS)


def test_a_slash_in_a_name_makes_a_group_in_a_group(tmp_path: Path) -> None:
    net = small_net(f"inception: {IP}", f"inception/1x1: {IP}", f"a/b/c: {IP}")
    net.params["a/b/c"][1].data.fill_(3)
    net.save_weights(tmp_path / "x.caffemodel.h5")
    saved = read_caffemodel(tmp_path / "x.caffemodel.h5")
    assert list(saved) == ["a/b/c", "inception", "inception/1x1"]
    assert (saved["a/b/c"][1] == 3).all()


def test_every_kind_of_number_is_taken(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for index, kind in enumerate(("<f2", ">f4", "<f8", "<i8", "u1")):
            file[f"data/ip/{index}"] = BIAS.astype(kind)
        file["data"].create_dataset("zip/0", data=WEIGHT, chunks=(1, 3), compression="gzip")
    arrays = read_caffemodel(tmp_path / "x.h5")
    assert [array.dtype for array in arrays["ip"]] == [np.float32, np.float32, np.float64, np.float32, np.float32]
    assert all((array == BIAS).all() for array in arrays["ip"]) and (arrays["zip"][0] == WEIGHT).all()


def test_other_shapes_of_the_history_are_read(tmp_path: Path) -> None:
    write_solverstate(tmp_path / "x.solverstate.h5", SolverState(3, [WEIGHT[None, None]], "w", 2))
    state = read_solverstate(tmp_path / "x.solverstate.h5")
    assert (state.iteration, state.learned_net, state.current_step) == (3, "w", 2)
    assert state.history[0].shape == (1, 1, 2, 3)


# --- broken files -------------------------------------------------------------------------------------------------


def huge(file: h5py.File) -> None:
    file.create_dataset("data/ip/0", shape=(1 << 40,), dtype="f4", chunks=(1 << 16,))


def sparse(file: h5py.File) -> None:
    file.create_dataset("data/ip/0", shape=(1 << 33,), dtype="f4", chunks=(1 << 10,), compression="gzip")[:10] = 1


def endless(file: h5py.File) -> None:
    file.create_group("data/ip")
    file["data/ip/again"] = file["data"]


def elsewhere(file: h5py.File) -> None:
    file["data/ip/0"] = h5py.ExternalLink(str(MODEL), "/data/conv1/0")


def outside(file: h5py.File) -> None:
    file.create_dataset("data/ip/0", (4,), "f4", external=[("/etc/passwd", 0, 16)])


BROKEN: dict[str, tuple[Callable[[h5py.File], object], str]] = {
    "nothing": (lambda file: None, "not a caffemodel: no group 'data' in it"),
    "a dataset for a group": (lambda file: file.create_dataset("data", data=BIAS), "no group 'data'"),
    "text": (lambda file: file.create_dataset("data/ip/0", data="words"), "data/ip/0: expected numbers, got object"),
    "a name": (
        lambda file: file.create_dataset("data/ip/weight", data=BIAS),
        "ip/weight: expected a number for a name",
    ),
    "a name with a zero": (lambda file: file.create_dataset("data/ip/00", data=BIAS), "expected a number for a name"),
    "huge": (huge, "but the numbers are not in the file"),
    "sparse": (sparse, "but the numbers are not in the file"),
    "endless": (endless, "is in itself"),
    "a link": (elsewhere, "data/ip/0 is a link, expected a group or a dataset"),
    "another file": (outside, "but the numbers are not in the file"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_not_caffes(kind: str, tmp_path: Path) -> None:
    make, pattern = BROKEN[kind]
    with h5py.File(tmp_path / "x.caffemodel.h5", "w") as file:
        make(file)
    with pytest.raises(WeightsError, match=pattern) as caught:
        read_caffemodel(tmp_path / "x.caffemodel.h5")
    assert str(caught.value).startswith(str(tmp_path))


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (lambda file: file.pop("iter"), "not a solver state: no iteration in it"),
        (lambda file: file.pop("history"), "not a solver state: no group 'history'"),
        (lambda file: file["history"].pop("1"), r"history: expected blobs 0 to 2, got \[0, 2, 3\]"),
        (lambda file: (file.pop("iter"), file.create_dataset("iter", data=BIAS)), "iter: expected one integer, got 2"),
        (lambda file: (file.pop("learned_net"), file.create_dataset("learned_net", data=1)), "expected a string"),
    ],
)
def test_what_is_no_solver_state(change: Callable[[h5py.File], object], pattern: str, tmp_path: Path) -> None:
    path = tmp_path / "x.solverstate.h5"
    path.write_bytes(STATE.read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(WeightsError, match=pattern):
        read_solverstate(path)


def test_mutated_files(tmp_path: Path) -> None:
    """HDF5 does not check what it reads, so a changed number goes unseen; a changed structure is told."""
    endings = {"read": 0, "refused": 0}
    path = tmp_path / "x.caffemodel.h5"
    for content in mutants([MODEL.read_bytes()], 300):
        path.write_bytes(content)
        try:
            read_caffemodel(path)
            endings["read"] += 1
        except WeightsError as exc:
            assert exc.path == str(path)
            endings["refused"] += 1
    assert min(endings.values()) > 30, endings


def test_without_h5py_the_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(WeightsError, match=r"x.h5: HDF5 files need the package h5py \(pip install h5py\)"):
        save_hdf5(small_net(f"ip: {IP}"), tmp_path / "x.h5")
    with pytest.raises(WeightsError, match=f"{MODEL.name}: HDF5 files need the package h5py"):
        read_caffemodel(MODEL)
