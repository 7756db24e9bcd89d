"""Every public name of BVLC's python/caffe (master 9b89154), with its arguments: here, or refused with a reason.

The table was read off __init__.py, pycaffe.py, _caffe.cpp, io.py, net_spec.py, coord_map.py, classifier.py,
detector.py and draw.py. What those modules import from elsewhere (numpy, OrderedDict, ...) is not in it.
"""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import caffe_compat.pycaffe as caffe

ROOT = Path(__file__).parents[2]

_SOLVERS = "SGDSolver NesterovSolver AdaGradSolver RMSPropSolver AdaDeltaSolver AdamSolver"
_FUNCTIONS = """
    init_log log set_mode_cpu set_mode_gpu set_device get_solver layer_type_list set_random_seed solver_count
    set_solver_count solver_rank set_solver_rank set_multiprocess has_nccl __version__
"""

# Names whose arguments have no names in Caffe (Boost.Python), constants and modules.
NAMES = {
    "": f"""Net NCCL Timer Layer TRAIN TEST Classifier Detector io layers params NetSpec to_proto proto.caffe_pb2
        {_SOLVERS} {_FUNCTIONS}""",
    "pycaffe": f"Net NCCL Timer {_SOLVERS}",
    "_caffe": f"""Net Blob Layer LayerParameter SolverParameter Solver NCCL Timer {_SOLVERS} {_FUNCTIONS}
        NCCL.new_uid Timer.start Timer.stop Timer.ms Solver.step Solver.solve Solver.restore Solver.snapshot
        Solver.share_weights Solver.apply_update Solver.add_callback Solver.iter Solver.param Blob.shape Blob.num
        Blob.channels Blob.height Blob.width Blob.count Blob.reshape Blob.data Blob.diff Net.reshape Net.copy_from
        Net.clear_param_diffs Net.share_with Net.save Net.save_hdf5 Net.load_hdf5 Net.before_forward Net.after_forward
        Net.before_backward Net.after_backward Layer.type SolverParameter.max_iter SolverParameter.display
        SolverParameter.layer_wise_reduce SolverParameter.base_lr""",
    "net_spec": "layers params Layers Parameters",
    "coord_map": "PASS_THROUGH_LAYERS UndefinedMapException AxisMismatchException",
    "proto": "caffe_pb2",
}
NAMED = [(module, name) for module, names in NAMES.items() for name in names.split()]

SIGNATURES = {
    "_caffe": ["Net(network_file, phase, level=0, stages=None, weights=None)"],
    "pycaffe": [
        "Net.forward(blobs=None, start=None, end=None)",
        "Net.backward(diffs=None, start=None, end=None)",
        "Net.forward_all(blobs=None)",
        "Net.forward_backward_all(blobs=None, diffs=None)",
        "Net.set_input_arrays(data, labels)",
    ],
    "classifier": [
        "Classifier(model_file, pretrained_file, image_dims=None, mean=None, input_scale=None, raw_scale=None, "
        "channel_swap=None)",
        "Classifier.predict(inputs, oversample=True)",
    ],
    "detector": [
        "Detector(model_file, pretrained_file, mean=None, input_scale=None, raw_scale=None, channel_swap=None, "
        "context_pad=None)",
        "Detector.detect_windows(images_windows)",
        "Detector.detect_selective_search(image_fnames)",
        "Detector.crop(im, window)",
        "Detector.configure_crop(context_pad)",
    ],
    "io": [
        "blobproto_to_array(blob, return_diff=False)",
        "array_to_blobproto(arr, diff=None)",
        "arraylist_to_blobprotovector_str(arraylist)",
        "blobprotovector_str_to_arraylist(str)",
        "array_to_datum(arr, label=None)",
        "datum_to_array(datum)",
        "load_image(filename, color=True)",
        "resize_image(im, new_dims, interp_order=1)",
        "oversample(images, crop_dims)",
        "Transformer(inputs)",
        "Transformer.preprocess(in_, data)",
        "Transformer.deprocess(in_, data)",
        "Transformer.set_transpose(in_, order)",
        "Transformer.set_channel_swap(in_, order)",
        "Transformer.set_raw_scale(in_, scale)",
        "Transformer.set_mean(in_, mean)",
        "Transformer.set_input_scale(in_, scale)",
    ],
    "net_spec": [
        "param_name_dict()",
        "to_proto()",
        "assign_proto(proto, name, val)",
        "Top(fn, n)",
        "Top.to_proto()",
        "Function(type_name, inputs, params)",
        "NetSpec()",
        "NetSpec.to_proto()",
    ],
    "coord_map": [
        "conv_params(fn)",
        "crop_params(fn)",
        "coord_map(fn)",
        "compose(base_map, next_map)",
        "inverse(coord_map)",
        "coord_map_from_to(top_from, top_to)",
        "crop(top_from, top_to)",
    ],
    "draw": [
        "get_pydot_graph(caffe_net, rankdir, label_edges=True, phase=None, display_lrm=False)",
        "draw_net(caffe_net, rankdir, ext='png', phase=None, display_lrm=False)",
        "draw_net_to_file(caffe_net, filename, rankdir='LR', phase=None, display_lrm=False)",
    ],
}
SIGNED = [(module, signature) for module, signatures in SIGNATURES.items() for signature in signatures]

REFUSED = {
    "_caffe": "BlobVec BoolVec DtypeVec IntVec LayerVec NetVec RawBlobVec StringVec",
    "draw": """BLOB_STYLE LAYER_STYLE_DEFAULT NEURON_LAYER_STYLE choose_color_by_layertype get_edge_label
        get_layer_label get_layer_lr_mult get_pooling_types_dict""",
}


def find(module: str, name: str) -> Any:
    """``name``, dotted or not, of a module of the face."""
    found: Any = getattr(caffe, module) if module else caffe
    for part in name.split("."):
        if not hasattr(found, part) and hasattr(found, "DESCRIPTOR"):  # a message's field, of its instances
            return found.DESCRIPTOR.fields_by_name[part]
        found = getattr(found, part)
    return found


@pytest.mark.parametrize(("module", "name"), NAMED)
def test_a_name_is_there(module: str, name: str) -> None:
    assert find(module, name) is not None


@pytest.mark.parametrize(("module", "signature"), SIGNED, ids=[signature for _, signature in SIGNED])
def test_arguments_are_called_as_in_caffe(module: str, signature: str) -> None:
    """In the same order, with the same defaults; ``self``, ``*`` and ``**`` count for nothing."""
    name, _, rest = signature.partition("(")
    wanted = [argument for argument in rest.rstrip(")").split(", ") if argument]
    found = [
        each.name if each.default is each.empty else f"{each.name}={each.default!r}"
        for each in inspect.signature(find(module, name)).parameters.values()
        if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD) and each.name != "self"
    ]
    if signature.startswith("Net("):  # both forms of the constructor in one: the phase is checked when it is called
        found = [argument.replace("phase=None", "phase") for argument in found]
    assert found == wanted


@pytest.mark.parametrize(("module", "name"), [(m, name) for m, names in REFUSED.items() for name in names.split()])
def test_a_name_that_is_not_here_says_why(module: str, name: str) -> None:
    found = importlib.import_module(f"caffe_compat.pycaffe.{module}")
    with pytest.raises(AttributeError, match=rf"^caffe\.{module}\.{name} of Caffe's is not here: .{{20,}}"):
        getattr(found, name)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = found.nothing
    assert f"`{name}`" in (ROOT / "docs/deviations.md").read_text(encoding="utf-8")


MODULES = "classifier coord_map detector draw io net_spec proto proto.caffe_pb2 pycaffe _caffe"


@pytest.mark.parametrize("package", ["caffe", "caffe_compat.pycaffe"])
def test_modules_can_be_imported_both_ways(package: str) -> None:
    """In a process of its own: ``import caffe.io`` and ``from caffe import io`` are one module, and so is Net."""
    names = [name for name in MODULES.split() if package == "caffe" or not name.startswith("proto")]
    program = ["import caffe_compat.pycaffe", "caffe_compat.pycaffe.install()", f"import {package} as face"]
    for name in names:
        parent, _, last = f"{package}.{name}".rpartition(".")
        program += [
            f"import {package}.{name}",
            f"from {parent} import {last} as one",
            f"assert {package}.{name} is one",
        ]
    program += [
        f"from {package}._caffe import Net, SGDSolver",
        f"from {package}.pycaffe import Net as other",
        "assert Net is other is face.Net and SGDSolver is face.SGDSolver",
        "assert face.Net is caffe_compat.pycaffe.Net",
        f"from {package} import layers as L, params as P, to_proto, TRAIN, TEST",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(program)], check=True, cwd=ROOT)
