"""A recipe of one's own: every method, over a folder of nets that ``own_nets`` made and people may have edited."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from caffe_compat.errors import PrototxtError
from caffe_compat.evaluation.experiments import edits
from caffe_compat.evaluation.experiments.catalogue import ALL_ROWS, OTHERS, OURS
from caffe_compat.evaluation.experiments.edits import Edit
from caffe_compat.evaluation.experiments.families import Family
from caffe_compat.evaluation.experiments.recipes import Recipe
from caffe_compat.proto import caffe_pb2
from caffe_compat.proto.caffe_pb2 import SolverParameter
from caffe_compat.prototxt import read_net, read_solver

OWN = "own"  # its name, which results carry
FINE_TUNE_SHARE = 0.3  # of the clean net's iterations


def own_recipe(nets: Path) -> Recipe:
    """The recipe over the nets and solvers in ``nets``.

    Raises: PrototxtError, or FileNotFoundError for a single file, if they are not what ``own_nets.write_nets`` writes.
    """
    folder = nets.resolve()
    if not (folder / "clean_solver.prototxt").exists():
        raise PrototxtError(
            "expected a folder of nets, as tools/make_nets.py makes; no clean_solver.prototxt there", path=str(nets)
        )
    solver, _ = read_solver(folder / "clean_solver.prototxt")
    clean, _ = read_net(folder / "clean_train_val.prototxt")
    ours, path = read_net(folder / "ours_train_val.prototxt")
    joint = {layer.name for layer in ours.layer}
    convolutions = [layer.name for layer in clean.layer if layer.type == "Convolution"]
    classifier = [
        layer.name for layer in clean.layer if layer.type == "InnerProduct" and f"{layer.name}_clean" in joint
    ]
    if missing := [name for name in convolutions if not {f"{name}_clean", f"{name}_ntype"} <= joint]:
        raise PrototxtError(
            f"expected layers {missing[0]}_clean and {missing[0]}_ntype, as the clean net has", path=path
        )
    source = edits.data_layers(clean, caffe_pb2.TRAIN)[0].data_param.source
    return Recipe(
        name=OWN,
        title=f"Nets of {nets}",
        data_root=str(PurePosixPath(source).parent),
        make_data="tools/import_dataset.py",
        stages=Family(str(folder), convolutions, classifier).every_method(_fine_tune(solver)),
        rows=ALL_ROWS,
        compare=tuple((OURS, other) for other in OTHERS),
        seeds=3,
        validation=len(solver.test_iter) == 2,
    )


def _fine_tune(clean: SolverParameter) -> Edit:
    """A tenth of the clean net's rate, for a share of its iterations that ends with a test."""
    tests = max(1, round(FINE_TUNE_SHARE * clean.max_iter / clean.test_interval))
    iterations = tests * clean.test_interval
    return edits.schedule(
        base_lr=clean.base_lr * clean.gamma, stepsize=max(1, 2 * iterations // 3), max_iter=iterations
    )
