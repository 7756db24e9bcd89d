"""Every layer gives real Caffe's answers: tops, gradients of the bottoms, gradients of the parameters."""

import numpy as np
import pytest
from golden_layers import CASES, TOLERANCE, arrays, build_net, deviation, deviations, read_case, run


@pytest.mark.parametrize("name", CASES)
def test_answers_as_caffe(name: str) -> None:
    wrong = {key: value for key, value in deviations(name).items() if not value <= TOLERANCE}
    assert not wrong


@pytest.mark.parametrize("name", CASES)
def test_answers_as_caffe_in_float64(name: str) -> None:
    wrong = {key: value for key, value in deviations(name, double=True).items() if not value <= TOLERANCE}
    assert not wrong


@pytest.mark.parametrize("name", CASES)
def test_parameters_are_as_after_caffes_forward(name: str) -> None:
    """What Caffe leaves alone stays bit for bit; BatchNorm moves its sums."""
    case = read_case(name)
    net = build_net(case)
    run(net, case)
    for key, value in arrays(case, "param_after").items():
        layer, index = key.rsplit("/", 1)
        found = net.params[layer][int(index)]
        is_left_alone = np.array_equal(case[f"param/{key}"], value)
        assert deviation(found, value) <= (0 if is_left_alone else TOLERANCE)


def test_every_array_is_compared() -> None:
    """No case is compared in part only."""
    for name in CASES:
        case = read_case(name)
        wanted = {key for key in case if key.split("/")[0] in ("top", "indiff", "paramdiff")}
        assert set(deviations(name)) == wanted


def test_table_of_deviations() -> None:
    """Prints the largest deviation of each case (pytest -rP shows it)."""
    print(f"{'case':34s} {'largest deviation':>17s}  in")
    for name in CASES:
        worst, value = max(deviations(name).items(), key=lambda item: item[1])
        print(f"{name:34s} {value:17.1e}  {worst}")
        assert value <= TOLERANCE
