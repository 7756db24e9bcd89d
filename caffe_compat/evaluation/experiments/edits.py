"""What a recipe changes in a solver and net as they stand under prototxt/: each is one small edit of the messages.

An edit is ``edit(solver, net)``; it changes the messages it is given, which ``jobs.recipe_messages`` has just read. So
a variant of an experiment is a line in ``catalogue``, not a prototxt of its own. Edits raise PrototxtError where the
net lacks what they change, so that none is without effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from caffe_compat.datasets import layout
from caffe_compat.errors import PrototxtError
from caffe_compat.proto import caffe_pb2
from caffe_compat.proto.caffe_pb2 import LayerParameter, NetParameter, SolverParameter
from caffe_compat.prototxt.deploy import NOISY_LABEL_LOSS

Edit = Callable[[SolverParameter, NetParameter], None]

IGNORED = -1  # the label of a record without one


def shuffle(solver: SolverParameter, net: NetParameter) -> None:
    """Read the training records in a new random order every round; Caffe reads them in one order for ever."""
    for layer in data_layers(net, caffe_pb2.TRAIN):
        layer.data_param.shuffle = True


def noisy_labels_only(solver: SolverParameter, net: NetParameter) -> None:
    """Train on the noisy labels alone, the clean ones unseen: the p(noisy|x) of GLC and forward correction."""
    labels = [layer for layer in data_layers(net, caffe_pb2.TRAIN) if _file(layer) == layout.MIXED_TRUTH_LABELS]
    for layer in found(labels, net, "a training database of noisy labels taken for true"):
        layer.data_param.source = str(PurePosixPath(layer.data_param.source).with_name(layout.MIXED_NOISY_LABELS))
    for layer in net.layer:
        if layer.type == "SoftmaxWithLoss":
            layer.loss_param.ignore_label = IGNORED


def schedule(base_lr: float, stepsize: int, max_iter: int, snapshot: int | None = None) -> Edit:
    """Another schedule; ``snapshot``: iterations between two snapshots, None: as they were."""

    def edit(solver: SolverParameter, net: NetParameter) -> None:
        solver.base_lr, solver.stepsize, solver.max_iter = base_lr, stepsize, max_iter
        if snapshot is not None:
            solver.snapshot = snapshot

    return edit


def loss_weights(**weights: float) -> Edit:
    """Weights of the losses, by layer name."""

    def edit(solver: SolverParameter, net: NetParameter) -> None:
        for name, weight in weights.items():
            for layer in found([each for each in net.layer if each.name == name], net, f'a layer "{name}"'):
                layer.loss_weight[:] = [weight]

    return edit


def update_noise_lr(value: float) -> Edit:
    """Scale of the noise type scores' gradient in the noisy label loss."""

    def edit(solver: SolverParameter, net: NetParameter) -> None:
        for layer in noisy_losses(net):
            if layer.softmax_noisy_label_loss_param.update_noise_lr != value:  # the default stays unwritten
                layer.softmax_noisy_label_loss_param.update_noise_lr = value

    return edit


def confusion_of_all(solver: SolverParameter, net: NetParameter) -> None:
    """C estimated from every training image, where the data set has both labels of all (CIFAR-10N)."""
    for layer in noisy_losses(net):
        filler = layer.softmax_noisy_label_loss_param.matrix_c_filler
        filler.source = str(PurePosixPath(filler.source).with_name(layout.CONFUSION_OF_ALL))


def num_output(**sizes: int) -> Edit:
    """Outputs of inner product layers, by layer name."""

    def edit(solver: SolverParameter, net: NetParameter) -> None:
        for name, size in sizes.items():
            layers = [layer for layer in net.layer if layer.name == name and layer.type == "InnerProduct"]
            for layer in found(layers, net, f'an InnerProduct layer "{name}"'):
                layer.inner_product_param.num_output = size

    return edit


def learning_rate_of(suffix: str, factor: float) -> Edit:
    """Multiply the rates of the layers whose names end in ``suffix``: ``_ntype`` for the noise type net."""

    def edit(solver: SolverParameter, net: NetParameter) -> None:
        for param in _params(net, suffix):
            param.lr_mult *= factor

    return edit


def without_decay(suffix: str) -> Edit:
    """No weight decay on the layers whose names end in ``suffix``."""

    def edit(solver: SolverParameter, net: NetParameter) -> None:
        for param in _params(net, suffix):
            param.decay_mult = 0

    return edit


def labelled_mean(solver: SolverParameter, net: NetParameter) -> None:
    """Divide the clean and the noise type loss by the labelled rows (VALID) instead of the whole batch."""
    layers = [layer for layer in net.layer if layer.type == "SoftmaxWithLoss"]
    for layer in found(layers, net, "a SoftmaxWithLoss layer"):
        layer.loss_param.ClearField("normalize")
        layer.loss_param.normalization = caffe_pb2.LossParameter.VALID


def test_on(validation: tuple[int, int], test: tuple[int, int]) -> Edit:
    """Test on both splits: test net 0 reads test_lmdb, test net 1 val_lmdb. Each is (batch size, batches).

    Nets that test on something else, as the noise type net does, stay as they are.
    """

    def edit(solver: SolverParameter, net: NetParameter) -> None:
        tested = data_layers(net, caffe_pb2.TEST)
        if not any(_file(layer) in (layout.VAL, layout.TEST) for layer in tested):
            return
        for layer in tested:
            on_val = LayerParameter()
            on_val.CopyFrom(layer)
            for each, stage, file, batch_size in (
                (layer, "test", layout.TEST, test[0]),
                (on_val, "val", layout.VAL, validation[0]),
            ):
                each.include[0].stage[:] = [stage]
                each.data_param.source = str(PurePosixPath(each.data_param.source).with_name(file))
                each.data_param.batch_size = batch_size
            net.layer.insert(list(net.layer).index(layer) + 1, on_val)
        solver.test_iter[:] = [test[1], validation[1]]
        solver.ClearField("test_state")
        for stage in ("test", "val"):
            solver.test_state.add(stage=[stage])

    return edit


def data_layers(net: NetParameter, phase: caffe_pb2.Phase) -> list[LayerParameter]:
    """The Data layers that are there in ``phase`` alone."""
    return [layer for layer in net.layer if layer.type == "Data" and any(rule.phase == phase for rule in layer.include)]


def _file(layer: LayerParameter) -> str:
    return PurePosixPath(layer.data_param.source).name


def _params(net: NetParameter, suffix: str) -> Iterator[caffe_pb2.ParamSpec]:
    layers = [layer for layer in net.layer if layer.name.endswith(suffix) and layer.param]
    for layer in found(layers, net, f'a layer with parameters whose name ends in "{suffix}"'):
        yield from layer.param


def noisy_losses(net: NetParameter) -> list[LayerParameter]:
    """The label noise layers. Raises: PrototxtError where there is none."""
    return found([layer for layer in net.layer if layer.type == NOISY_LABEL_LOSS], net, f"a {NOISY_LABEL_LOSS} layer")


def found(layers: list[LayerParameter], net: NetParameter, what: str) -> list[LayerParameter]:
    """``layers``. Raises: PrototxtError where there are none, saying ``what`` was expected in ``net``."""
    if not layers:
        raise PrototxtError(f'net "{net.name}": expected {what}, found none')
    return layers
