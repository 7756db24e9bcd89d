"""Old nets and solvers: real Caffe's upgraded texts and log lines, then each step's own rules."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt import parse_text, read_net, read_solver, to_text, upgrade_net, upgrade_solver
from caffe_compat.prototxt.upgrade import v0, v1

GOLDEN = Path(__file__).parents[1] / "golden" / "upgrade"
LINE = re.compile(r"^([IW])\d{8} [\d:.]+ +\d+ upgrade_proto.cpp:\d+\] (.*)$", re.MULTILINE)


def net(text: str) -> caffe_pb2.NetParameter:
    return parse_text(text, caffe_pb2.NetParameter())


def upgraded(text: str) -> str:
    """The upgraded net on one line."""
    return " ".join(to_text(upgrade_net(net(text))).split())


@pytest.mark.parametrize("name", ["v0", "v1", "input_fields", "old_solver"])
def test_texts_and_log_lines_are_caffes(
    name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(GOLDEN)
    caplog.set_level(logging.INFO, "caffe_compat")
    read = read_solver if name == "old_solver" else read_net
    message, path = read(f"{name}.prototxt")
    assert path == f"{name}.prototxt"
    assert to_text(message) == (GOLDEN / f"{name}.upgraded.prototxt").read_text()
    lines = [(record.levelname[0], record.getMessage()) for record in caplog.records]
    assert lines == LINE.findall((GOLDEN / f"{name}.log").read_text().partition("Wrote upgraded")[0])


def test_the_upgraded_texts_need_no_upgrade(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "caffe_compat")
    for path in GOLDEN.glob("*.upgraded.prototxt"):
        if "solver" not in path.name:
            assert to_text(read_net(path)[0]) == path.read_text()
    assert caplog.messages == []


def test_the_message_given_is_left_alone() -> None:
    old = net("layers { name: 'x' type: RELU }")
    upgrade_net(old)
    assert len(old.layers) == 1 and not old.layer
    solver = caffe_pb2.SolverParameter(solver_type=caffe_pb2.SolverParameter.ADAM)
    assert upgrade_solver(solver).type == "Adam"
    assert solver.HasField("solver_type")


# --- V1 -------------------------------------------------------------------------------------------------------


def test_every_v1_type_becomes_a_type_string() -> None:
    assert set(v1._TYPES) == set(caffe_pb2.V1LayerParameter.LayerType.values())
    names = set(v1._TYPES.values())
    assert len(names) == len(v1._TYPES)
    lowered = {name.lower() for name in names}
    for name, number in caffe_pb2.V1LayerParameter.LayerType.items():
        same = v1._TYPES[number].lower() == name.lower().replace("_", "")
        assert same or (name, v1._TYPES[number]) in {("NONE", ""), ("SOFTMAX_LOSS", "SoftmaxWithLoss")}, lowered


def test_every_v1_field_has_a_place_in_the_current_layer() -> None:
    current = caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name
    old = caffe_pb2.V1LayerParameter.DESCRIPTOR.fields
    assert {field.name for field in old if field.name not in current} == {
        "layer",
        "blobs_lr",
        "weight_decay",
        "blob_share_mode",
    }
    for field in old:
        if field.name in current and field.message_type is not None:
            assert current[field.name].message_type is field.message_type


def test_v1_parameter_specs_line_up_by_index() -> None:
    assert upgraded("layers { name: 'x' type: POOLING param: 'w' weight_decay: 1 weight_decay: 0 blobs_lr: 3 }") == (
        'layer { name: "x" type: "Pooling" param { name: "w" lr_mult: 3 decay_mult: 1 } param { decay_mult: 0 } }'
    )


def test_v1_and_current_layers_together_are_refused() -> None:
    with pytest.raises(PrototxtError, match="Refusing to upgrade inconsistent NetParameter input") as caught:
        upgrade_net(net("layers { type: RELU } layer { type: 'ReLU' }"), "mixed.prototxt")
    assert caught.value.path == "mixed.prototxt"


# --- data transformation fields -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["DATA", "IMAGE_DATA", "WINDOW_DATA"])
def test_transformation_fields_move_to_transform_param(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "caffe_compat")
    param = kind.lower()
    fields = "source: 's' scale: 0.5 mean_file: 'm' crop_size: 7 mirror: true batch_size: 2"
    message = upgrade_net(net(f"layers {{ type: {kind} {param}_param {{ {fields} }} }}"), "old.prototxt")
    assert " ".join(to_text(message.layer[0].transform_param).split()) == (
        'scale: 0.5 mirror: true crop_size: 7 mean_file: "m"'
    )
    assert " ".join(to_text(getattr(message.layer[0], f"{param}_param")).split()) == 'source: "s" batch_size: 2'
    assert caplog.messages[:3] == [
        "Attempting to upgrade input file specified using deprecated transformation parameters: old.prototxt",
        "Successfully upgraded file specified using deprecated data transformation parameters.",
        "Note that future Caffe releases will only support transform_param messages for transformation fields.",
    ]


# --- V0 -------------------------------------------------------------------------------------------------------


def test_every_v0_type_and_field_is_known() -> None:
    fields = {field.name for field in caffe_pb2.V0LayerParameter.DESCRIPTOR.fields}
    nowhere = {"new_num", "new_channels"}  # Caffe drops them without a word; here they are an error
    assert {*v0._FIELDS, *v0._TRANSFORM, *v0._SAME, "type", *nowhere} == fields
    current = caffe_pb2.V1LayerParameter.DESCRIPTOR.fields_by_name
    for name, params in v0._FIELDS.values():
        for param in params.values():
            assert not name or name in current[param].message_type.fields_by_name


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("type: 'conv' num_output: 4 biasterm: false pad: 1 kernelsize: 3 group: 2 stride: 5",
         'type: "Convolution" convolution_param { num_output: 4 bias_term: false pad: 1 kernel_size: 3 group: 2 '
         "stride: 5 }"),
        ("type: 'innerproduct' num_output: 4 biasterm: true weight_filler { type: 'xavier' } bias_filler { value: 1 }",
         'type: "InnerProduct" inner_product_param { num_output: 4 bias_term: true weight_filler { type: "xavier" } '
         "bias_filler { value: 1 } }"),
        ("type: 'pool' pool: STOCHASTIC pad: 1 kernelsize: 3 stride: 2",
         'type: "Pooling" pooling_param { pool: STOCHASTIC kernel_size: 3 stride: 2 pad: 1 }'),
        ("type: 'lrn' local_size: 3 alpha: 0.5 beta: 0.25 k: 2",
         'type: "LRN" lrn_param { local_size: 3 alpha: 0.5 beta: 0.25 k: 2 }'),
        ("type: 'dropout' dropout_ratio: 0.3", 'type: "Dropout" dropout_param { dropout_ratio: 0.3 }'),
        ("type: 'concat' concat_dim: 0", 'type: "Concat" concat_param { concat_dim: 0 }'),
        ("type: 'data' source: 's' batchsize: 2 rand_skip: 3 scale: 2 meanfile: 'm' cropsize: 4 mirror: true",
         'type: "Data" transform_param { scale: 2 mirror: true crop_size: 4 mean_file: "m" } '
         'data_param { source: "s" batch_size: 2 rand_skip: 3 }'),
        ("type: 'images' source: 's' batchsize: 2 rand_skip: 3 shuffle_images: true new_height: 5 new_width: 6",
         'type: "ImageData" image_data_param { source: "s" batch_size: 2 rand_skip: 3 shuffle: true new_height: 5 '
         "new_width: 6 }"),
        ("type: 'window_data' source: 's' batchsize: 2 det_fg_threshold: 0.1 det_bg_threshold: 0.2 "
         "det_fg_fraction: 0.3 det_context_pad: 4 det_crop_mode: 'square'",
         'type: "WindowData" window_data_param { source: "s" batch_size: 2 fg_threshold: 0.1 bg_threshold: 0.2 '
         'fg_fraction: 0.3 context_pad: 4 crop_mode: "square" }'),
        ("type: 'hdf5_data' source: 's' batchsize: 2",
         'type: "HDF5Data" hdf5_data_param { source: "s" batch_size: 2 }'),
        ("type: 'hdf5_output' hdf5_output_param { file_name: 'f' }",
         'type: "HDF5Output" hdf5_output_param { file_name: "f" }'),
        ("type: 'infogain_loss' source: 's'", 'type: "InfogainLoss" infogain_loss_param { source: "s" }'),
        ("type: 'relu' blobs_lr: 1 blobs_lr: 2 weight_decay: 3 blobs { num: 1 }",
         'type: "ReLU" param { lr_mult: 1 decay_mult: 3 } param { lr_mult: 2 } blobs { num: 1 }'),
    ],
)  # fmt: skip
def test_v0_layers(old: str, new: str) -> None:
    assert upgraded(f"layers {{ layer {{ name: 'x' {old} }} top: 'y' }}") == (
        f'layer {{ name: "x" {new} }}'.replace(f"{new.split()[1]}", f'{new.split()[1]} top: "y"', 1)
    )


PAD = "layers { layer { name: 'p' type: 'padding' pad: 2 } bottom: 'data' top: 'padded' } "
INPUT = "input: 'data' input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4 "


@pytest.mark.parametrize("kind", ["conv", "pool"])
def test_padding_layers_are_folded_into_their_reader(kind: str) -> None:
    text = INPUT + PAD + f"layers {{ layer {{ name: 'c' type: '{kind}' kernelsize: 3 }} bottom: 'padded' top: 'c' }}"
    layers = upgrade_net(net(text)).layer
    assert [layer.name for layer in layers] == ["input", "c"]
    assert layers[1].bottom == ["data"]
    assert " pad: 2 " in upgraded(text)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("layers { layer { name: 'x' type: 'data' new_num: 3 } }", "Unknown parameter new_num for layer type data"),
        (PAD, "Unknown blob input data to layer 0"),
        (INPUT + PAD + "layers { layer { name: 'r' type: 'relu' } bottom: 'padded' top: 'r' }",
         "non-convolutional / non-pooling layer type relu"),
        (INPUT + PAD + "layers { layer { name: 'c' type: 'conv' } bottom: 'padded' bottom: 'data' top: 'c' }",
         "Conv Layer takes a single blob"),
        (INPUT + PAD.replace("bottom: 'data'", "bottom: 'data' bottom: 'data'")
         + "layers { layer { name: 'c' type: 'conv' } bottom: 'padded' top: 'c' }",
         "Padding Layer takes a single blob"),
        (INPUT + PAD.replace("top: 'padded'", "top: 'padded' top: 'x'")
         + "layers { layer { name: 'c' type: 'conv' } bottom: 'padded' top: 'c' }",
         "Padding Layer produces a single"),
        ("layers { layer { name: 'x' type: 'convv' } }", "Unknown layer name: convv; known: accuracy"),
        ("layers { layer { name: 'x' type: 'relu' num_output: 3 } }",
         "num_output: Unknown parameter num_output for layer type relu"),
    ],
)  # fmt: skip
def test_v0_errors(text: str, pattern: str) -> None:
    with pytest.raises(PrototxtError, match=re.escape(pattern)) as caught:
        upgrade_net(net(text), "old.prototxt")
    assert caught.value.path == "old.prototxt" and caught.value.layer


# --- input fields, BatchNorm, solver_type ---------------------------------------------------------------------


def test_input_dims_become_shapes() -> None:
    dims = " ".join(f"input_dim: {dim}" for dim in range(1, 9))
    assert upgraded(f"input: 'a' input: 'b' {dims} layer {{ name: 'x' }}") == (
        'layer { name: "input" type: "Input" top: "a" top: "b" input_param { shape { dim: 1 dim: 2 dim: 3 dim: 4 } '
        'shape { dim: 5 dim: 6 dim: 7 dim: 8 } } } layer { name: "x" }'
    )


def test_inputs_without_shapes_are_dropped() -> None:
    assert upgraded("input: 'a' layer { name: 'x' }") == 'layer { name: "x" }'


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("input: 'a' input: 'b' input_shape { dim: 1 }", r"input_shape: expected 2 shape.*got 1"),
        ("input: 'a' input_shape { dim: 1 } input_shape { dim: 2 }", r"input_shape: expected 1 shape.*got 2"),
        ("input: 'a' input_dim: 1 input_dim: 2", r"input_dim: expected 4 dims.*got 2"),
        ("input: 'a' " + "input_dim: 1 " * 5, r"input_dim: expected 4 dims.*got 5"),
    ],
)
def test_input_fields_that_do_not_add_up(text: str, pattern: str) -> None:
    with pytest.raises(PrototxtError, match=pattern):
        upgrade_net(net(text), "old.prototxt")


def test_batch_norm_parameters_are_not_learned(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "caffe_compat")
    three = "param { name: 'm' lr_mult: 1 } param { } param { decay_mult: 3 }"
    zero = "lr_mult: 0 decay_mult: 0"
    assert upgraded(f"layer {{ type: 'BatchNorm' {three} }}") == (
        f'layer {{ type: "BatchNorm" param {{ name: "m" {zero} }} param {{ {zero} }} param {{ {zero} }} }}'
    )
    assert [line.partition(":")[0] for line in caplog.messages] == [
        "Attempting to upgrade batch norm layers using deprecated params",
        "Successfully upgraded batch norm layers using deprecated params.",
    ]
    assert upgraded("layer { type: 'BatchNorm' param { lr_mult: 1 } }").count("lr_mult: 1") == 1
    assert upgraded(f"layer {{ type: 'Scale' {three} }}").count("lr_mult: 0") == 0


@pytest.mark.parametrize(
    ("enum", "name"),
    [("SGD", "SGD"), ("NESTEROV", "Nesterov"), ("ADAGRAD", "AdaGrad"), ("RMSPROP", "RMSProp"),
     ("ADADELTA", "AdaDelta"), ("ADAM", "Adam")],
)  # fmt: skip
def test_solver_types(enum: str, name: str) -> None:
    solver, _ = read_solver(f"solver_type: {enum}")
    assert (solver.type, solver.HasField("solver_type")) == (name, False)


def test_both_solver_types_are_refused() -> None:
    with pytest.raises(PrototxtError, match="solver_type.*cannot be both specified"):
        read_solver("solver_type: ADAM type: 'Adam'")


def test_all_steps_in_caffes_order(caplog: pytest.LogCaptureFixture) -> None:
    """A V0 net with inputs and a data layer passes through three formats."""
    caplog.set_level(logging.INFO, "caffe_compat")
    text = (
        INPUT
        + "layers { layer { name: 'c' type: 'conv' kernelsize: 3 } bottom: 'data' top: 'c' } "
        + ("layers { name: 'd' type: DATA top: 'd' }")
    )
    upgrade_net(net(text), "f")
    kinds = [re.search(r"deprecated ([\w ]+): f", line) for line in caplog.messages]
    assert [kind[1] for kind in kinds if kind] == ["V0LayerParameter", "V1LayerParameter", "input fields"]
