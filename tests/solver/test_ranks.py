"""What the sharing of gradients takes for granted of a net."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_nets import CLASSIFIER, LEAST_SQUARES, make_solver

from caffe_compat import Net
from caffe_compat.data.reading_order import Share
from caffe_compat.errors import CaffeCompatError
from caffe_compat.layers import BuildContext
from caffe_compat.solver.ranks import Ranks

UNREAD = 'layer { name: "unread" type: "InnerProduct" bottom: "ip" top: "u" inner_product_param { num_output: 2 } }'
NO_WEIGHT = UNREAD + 'layer { name: "r" type: "Reduction" bottom: "u" top: "r" loss_weight: 0 }'
WITH_WEIGHT = NO_WEIGHT.replace("loss_weight: 0", "loss_weight: 0.1")
FIXED = UNREAD.replace("inner_product_param", "param { lr_mult: 0 } param { lr_mult: 0 } inner_product_param")


@pytest.mark.parametrize("net", [LEAST_SQUARES, CLASSIFIER], ids=["least_squares", "classifier"])
@pytest.mark.parametrize(
    ("more", "all_learn"),
    [
        ("", True),
        (UNREAD, False),
        (NO_WEIGHT, False),
        (WITH_WEIGHT, True),
        (FIXED, True),
        ("force_backward: true", False),
    ],
)
def test_all_learn_is_what_autograd_finds(net: str, more: str, all_learn: bool) -> None:
    solver = make_solver("", net + more)
    assert solver.net.all_learn == all_learn
    solver.net.forward_unfed()
    solver.net.loss.backward()
    learning = [blob for blob in solver.net.parameters() if blob.requires_grad]
    found = all(blob.grad is not None for blob in learning)
    assert found == all_learn or "force_backward" in more


def test_several_solvers_do_not_write_one_file(tmp_path: Path) -> None:
    text = f"""layer {{ name: "in" type: "DummyData" top: "a" top: "b" dummy_data_param {{ shape {{ dim: 1 }} }} }}
        layer {{ name: "out" type: "HDF5Output" bottom: "a" bottom: "b"
                hdf5_output_param {{ file_name: "{tmp_path}/out.h5" }} }}"""
    with pytest.raises(CaffeCompatError, match='layer "out" .*several solvers would write one file'):
        Net(text, "TRAIN", share=Share(1, 2))


def test_by_default_a_process_is_alone() -> None:
    alone = Ranks()
    assert alone.is_root and alone.share == Share(0, 1) == BuildContext().share and alone.told(7) == 7
