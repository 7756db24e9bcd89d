"""NetSpec, L, P, to_proto: the text that real net_spec.py gives for the same program, known by its rules."""

from __future__ import annotations

import numpy as np
import pytest

import caffe_compat.pycaffe as caffe
from caffe_compat.proto.caffe_pb2 import NetParameter
from caffe_compat.prototxt import parse_text
from caffe_compat.pycaffe import coord_map
from caffe_compat.pycaffe import layers as L
from caffe_compat.pycaffe import params as P


def message(text: str) -> NetParameter:
    return parse_text(text, NetParameter())


def test_a_net_and_its_text() -> None:
    n = caffe.NetSpec()
    n.data, n["label"] = L.DummyData(
        shape=[dict(dim=[6, 2, 9, 9]), dict(dim=[6])], data_filler=dict(type="uniform"), ntop=2
    )
    n.conv = L.Convolution(n.data, param=[dict(lr_mult=1), dict(lr_mult=2)], num_output=3, kernel_size=3, stride=[1, 2])
    n.relu = L.ReLU(n.conv, in_place=True)
    n.pool = L.Pooling(n.relu, pool=P.Pooling.AVE, global_pooling=True)
    n.silence = L.Silence(n.label, ntop=0)
    n.loss = L.SoftmaxWithLoss(n.pool, n.label, loss_weight=0.5, include=dict(phase=caffe.TRAIN),
                               loss_param=dict(ignore_label=-1))  # fmt: skip
    net = n.to_proto()
    assert net == message("""
        layer { name: "data" type: "DummyData" top: "data" top: "label"
                dummy_data_param { shape { dim: [6, 2, 9, 9] } shape { dim: 6 } data_filler { type: "uniform" } } }
        layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 1 } param { lr_mult: 2 }
                convolution_param { num_output: 3 kernel_size: 3 stride: 1 stride: 2 } }
        layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
        layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
                pooling_param { pool: AVE global_pooling: true } }
        layer { name: "silence" type: "Silence" bottom: "label" }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "pool" bottom: "label" top: "loss" loss_weight: 0.5
                include { phase: TRAIN } loss_param { ignore_label: -1 } }
    """)
    assert message(str(net)) == net
    assert caffe.Net(net, caffe.TEST).blobs["pool"].shape == (6, 3, 1, 1)


def test_names_by_type_and_number() -> None:
    """to_proto of bare tops; a layer that two others read is written once, before them."""
    data = L.Input(shape=dict(dim=[1, 4]))
    one = L.InnerProduct(data, num_output=2, name="first")
    two = L.InnerProduct(data, num_output=2)
    both = L.Eltwise(one, two)
    net = caffe.to_proto(both, two)
    assert [(layer.name, *layer.top) for layer in net.layer] == [
        ("Input1", "Input1"), ("first", "InnerProduct1"), ("InnerProduct2", "InnerProduct2"), ("Eltwise1", "Eltwise1")
    ]  # fmt: skip
    assert both.to_proto().layer[3].bottom == ["InnerProduct1", "InnerProduct2"]
    assert caffe.Net(net, caffe.TEST).outputs == ["Eltwise1"]


def test_deep_nets() -> None:
    """A thousand layers named only at the end, in order."""
    top = L.Input(shape=dict(dim=[1, 2]))
    for _ in range(1200):
        top = L.ReLU(top)
    layers = caffe.to_proto(top).layer
    assert [layer.name for layer in layers[-2:]] == ["ReLU1199", "ReLU1200"] and len(layers) == 1201


def test_spec_attributes() -> None:
    n = caffe.NetSpec()
    n.a = L.Input(shape=dict(dim=[1]))
    assert n["a"] is n.a and list(n.tops) == ["a"]
    del n.a
    with pytest.raises(AttributeError, match="no top 'a'"):
        _ = n.a


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: L.ReLU("data"), TypeError, "ReLU input 0: expected a Top, got str"),
        (lambda: caffe.to_proto(L.Pooling(kernl_size=2)), AttributeError, "kernl_size: LayerParameter has no field"),
        (lambda: caffe.to_proto(L.Convolution(weight_filler=dict(tipe=1))), AttributeError, "no field 'tipe'"),
        (
            lambda: caffe.to_proto(L.Convolution(num_output="many")),
            TypeError,
            'layer "Convolution1" .Convolution.: num_output: ',
        ),
        (lambda: P.Poling, AttributeError, "no message PolingParameter"),
    ],
)
def test_mistakes(make: object, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make()  # type: ignore[operator]


# --- coord_map --------------------------------------------------------------------------------------------------------


def spec(pad: int = 0, factor: int = 2) -> caffe.NetSpec:
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[2, 1, 100, 100]))
    n.conv = L.Convolution(n.data, num_output=10, kernel_size=5, stride=1, pad=pad)
    n.pool = L.Pooling(n.conv, pool=P.Pooling.MAX, kernel_size=2, stride=factor, pad=0)
    n.relu = L.ReLU(n.pool)
    n.deconv = L.Deconvolution(n.relu, convolution_param=dict(num_output=10, kernel_size=factor, stride=factor, pad=0))
    return n


def test_maps_by_hand() -> None:
    """A convolution of 5 without padding moves coordinates by -2; pooling by 2 and back up by 2 changes nothing."""
    n = spec()
    axis, scale, shift = coord_map.coord_map_from_to(n.deconv, n.data)
    assert (axis, scale.item(), shift.item()) == (1, 1, 2)
    assert coord_map.coord_map_from_to(n.data, n.deconv)[2].item() == -2
    padded = spec(pad=3)
    assert coord_map.coord_map_from_to(padded.deconv, padded.data).shift.item() == -1
    assert coord_map.coord_map_from_to(n.relu, n.conv).scale.item() == 2
    dilated = L.Convolution(n.data, num_output=10, kernel_size=3, stride=[1, 1], dilation=[2, 4])
    assert coord_map.coord_map_from_to(dilated, n.data).shift.tolist() == [2, 4]


def test_crop_layer() -> None:
    """The data cut to the size of what comes out: 2 pixels less at the start; and the net runs."""
    n = spec()
    n.crop = coord_map.crop(n.data, n.deconv)
    layer = n.to_proto().layer[-1]
    assert (layer.crop_param.axis, list(layer.crop_param.offset)) == (2, [2])
    net = caffe.Net(n.to_proto(), caffe.TEST)
    net.blobs["data"].data[...] = np.random.RandomState(0).rand(2, 1, 100, 100)
    net.forward()
    np.testing.assert_array_equal(net.blobs["crop"].data, net.blobs["data"].data[:, :, 2:98, 2:98])
    again = coord_map.crop(n.crop, n.deconv)
    assert list(again.fn.params["crop_param"]["offset"]) == [0]


def test_maps_that_do_not_exist() -> None:
    n = spec()
    for top_from, top_to, error, text in (
        (n.data, L.Softmax(n.deconv), RuntimeError, "connected by spatial layers"),
        (n.data, n.pool, ValueError, "scale mismatch"),
        (n.deconv, n.data, ValueError, "negative width"),
        (n.data, L.Convolution(n.data, kernel_size=4), ValueError, "noninteger width"),
        (n.data, L.Convolution(n.data, kernel_size=4, pad_h=1), ValueError, "legacy _h/_w params: pad_h"),
    ):
        with pytest.raises(error, match=text):
            coord_map.crop(top_from, top_to)
    along_other_axis = L.Convolution(n.conv, kernel_size=3, axis=2)
    with pytest.raises(coord_map.AxisMismatchException):
        coord_map.coord_map_from_to(along_other_axis, n.data)
    with pytest.raises(coord_map.UndefinedMapException):
        coord_map.coord_map(L.Softmax(n.data).fn)
