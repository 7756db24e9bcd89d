"""What every layer is: a module built from one ``LayerParameter``, with Caffe's blobs in Caffe's order.

A new layer is one file in this folder: subclass :class:`Layer`, decorate it with :func:`register`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from caffe_compat.data.reading_order import ALL_RECORDS, Share
from caffe_compat.errors import CaffeCompatError, PrototxtError, expected_got
from caffe_compat.layers.fillers import fill
from caffe_compat.layers.shapes import Shape, new_blob
from caffe_compat.proto import caffe_pb2


@dataclass(frozen=True)
class BuildContext:
    """What a layer may know of the net it is built for.

    Attributes:
        path: the net's file, for error messages; None when the net came as a message or text.
        phase: ``caffe_pb2.TRAIN`` or ``caffe_pb2.TEST``.
        seed: seeds the crops, mirrors and reading orders of data layers, one for all; None: each layer draws its own.
        data_start: the record (in reading order) at which TRAIN data layers start.
        share: which records TRAIN data layers read of those from there on.
    """

    path: str | None = None
    phase: int = caffe_pb2.TEST
    seed: int | None = None
    data_start: int = 0
    share: Share = ALL_RECORDS


class Layer(nn.Module):
    """Base of all layers.

    A subclass reads its options and makes its parameter blobs in :meth:`setup`, tells its top shapes in
    :meth:`top_shapes` (Caffe's Reshape) and computes in :meth:`forward`, which takes the bottoms and returns a
    tuple of tops. Class attributes state how many bottoms and tops it takes (Caffe's ExactNumBottomBlobs etc.).
    """

    bottoms: tuple[int, int | None] = (1, 1)  # least and most; None: no limit
    tops: tuple[int, int | None] = (1, 1)
    equal_bottoms_and_tops = False
    is_loss = False  # first top has loss weight 1 unless the net says otherwise, and may be left unnamed
    is_data = False  # produces its tops from outside the net; takes no bottoms
    label_bottoms: tuple[int, ...] = ()  # bottoms that hold labels: no gradient can go there
    overwrites_bottom = False  # forward_in_place() exists
    keeps_no_output = False  # the gradient does not need this layer's tops: the next layer may overwrite them

    def __init__(self, param: caffe_pb2.LayerParameter, context: BuildContext) -> None:
        super().__init__()
        self.param = param
        self.context = context
        self.blobs = nn.ParameterList()
        self._blob_shapes: list[Shape] = []
        self.open()

    def set_up(self, bottom_shapes: Sequence[Shape]) -> None:
        """Make the layer ready for bottoms of these shapes (Caffe's SetUp); once, before anything else."""
        self._check_counts(len(bottom_shapes))
        self.setup([tuple(shape) for shape in bottom_shapes])
        given = len(self.param.blobs)
        if given and given != len(self.blobs):
            raise self.error(expected_got(f"{len(self.blobs)} weight blobs", given), field="blobs")

    # --- for subclasses -------------------------------------------------------------------------------------

    def open(self) -> None:
        """What Caffe's constructor does, before the layer is wired: open a database."""

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        """Read the options, check them, create the parameter blobs with :meth:`add_blob`."""

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        """Shapes of the tops for these bottoms; the default gives every top the first bottom's shape."""
        return [tuple(bottom_shapes[0])] * max(1, len(self.param.top))

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        raise NotImplementedError

    def forward_in_place(self, bottom: Tensor) -> Tensor:
        """As :meth:`forward`, writing over ``bottom``; only where ``overwrites_bottom``."""
        raise NotImplementedError

    def blobs_loaded(self) -> None:
        """Called when weights have been copied into the blobs; a layer that must check or use them overrides it."""

    def add_blob(self, shape: Shape, filler: caffe_pb2.FillerParameter, field: str | None = None) -> None:
        """Append a float32 parameter of ``shape``: from the layer's own ``blobs`` if it has any, else filled.

        ``field`` is the filler's dotted name, for messages.
        Raises: PrototxtError if the blob is too large, or the filler cannot fill it.
        """
        index = len(self.blobs)
        blob = nn.Parameter(new_blob(self, shape, f"blobs[{index}]"))
        if index < len(self.param.blobs):
            self._copy_given_blob(blob, index)
        else:
            try:
                fill(blob, filler)
            except PrototxtError as exc:
                raise self.error(exc.problem, field=".".join(part for part in (field, exc.field) if part)) from exc
        self.blobs.append(blob)
        self._blob_shapes.append(shape)

    def blob(self, index: int) -> Tensor:
        """Parameter ``index`` in the shape this layer made it with (a shared one may be stored in the owner's)."""
        blob = self.blobs[index]
        shape = self._blob_shapes[index]
        return blob if blob.shape == shape else blob.reshape(shape)

    def shaped_blobs(self) -> list[Tensor]:
        """All parameters, each as :meth:`blob` gives it."""
        return [self.blob(index) for index in range(len(self.blobs))]

    @property
    def phase(self) -> int:
        """The layer's own ``phase``, else the net's."""
        return self.param.phase if self.param.HasField("phase") else self.context.phase

    def train(self, mode: bool = True) -> Layer:
        """As nn.Module's; a layer whose prototxt names its own ``phase`` keeps to it."""
        return super().train(self.param.phase == caffe_pb2.TRAIN if self.param.HasField("phase") else mode)

    def error(self, problem: str, field: str | None = None) -> PrototxtError:
        """The error to raise about this layer; ``field`` is dotted, ``convolution_param.num_output``."""
        return PrototxtError(
            problem, path=self.context.path, layer=self.param.name, layer_type=self.param.type, field=field
        )

    def _copy_given_blob(self, blob: nn.Parameter, index: int) -> None:
        from caffe_compat.weights import read_stored_blob

        try:
            stored = read_stored_blob(self.param.blobs[index])
        except CaffeCompatError as exc:
            raise self.error(exc.problem, field=f"blobs[{index}]") from exc
        if not stored.fits(tuple(blob.shape)):
            problem = expected_got(f"shape {tuple(blob.shape)}", stored.array.shape)
            raise self.error(problem, field=f"blobs[{index}]")
        with torch.no_grad():
            blob.copy_(torch.from_numpy(stored.array).reshape(blob.shape))

    # --- checks ---------------------------------------------------------------------------------------------

    def _check_counts(self, num_bottoms: int) -> None:
        least_tops = 0 if self.is_loss else self.tops[0]  # Caffe's AutoTopBlobs: the loss may stay unnamed
        for word, count, (least, most) in (
            ("bottom", num_bottoms, self.bottoms),
            ("top", len(self.param.top), (least_tops, self.tops[1])),
        ):
            if count < least or (most is not None and count > most):
                wanted = str(least) if least == most else f"at least {least}" if most is None else f"{least} to {most}"
                raise self.error(expected_got(f"{wanted} {word} blob(s)", count), field=word)
        if self.equal_bottoms_and_tops and num_bottoms != len(self.param.top):
            raise self.error(expected_got(f"as many tops as bottoms ({num_bottoms})", len(self.param.top)), field="top")


LayerClass = type[Layer]
_REGISTRY: dict[str, LayerClass] = {}


def register(type_name: str) -> Callable[[LayerClass], LayerClass]:
    """Class decorator: make ``type: "type_name"`` build this class. Registering a name twice is an error."""

    def add(cls: LayerClass) -> LayerClass:
        if type_name in _REGISTRY:
            raise ValueError(f"layer type {type_name!r} is registered twice")
        _REGISTRY[type_name] = cls
        return cls

    return add


def layer_types() -> list[str]:
    """All known type strings, sorted."""
    return sorted(_REGISTRY)


def construct_layer(param: caffe_pb2.LayerParameter, context: BuildContext) -> Layer:
    """The module of one ``LayerParameter``, not yet set up.

    Raises: PrototxtError naming the layer; for an unknown type it lists the known ones and the closest.
    """
    cls = _REGISTRY.get(param.type)
    if cls is None:
        lowered = {name.lower(): name for name in _REGISTRY}
        near = difflib.get_close_matches(param.type.lower(), lowered, n=1, cutoff=0.5)
        closest = f"closest: {lowered[near[0]]}; " if near else ""
        raise PrototxtError(
            f"unknown; {closest}known: {', '.join(layer_types())}",
            path=context.path,
            layer=param.name,
            layer_type=param.type,
            field="type",
        )
    return cls(param, context)


def create_layer(param: caffe_pb2.LayerParameter, bottom_shapes: Sequence[Shape], context: BuildContext) -> Layer:
    """Construct a layer and set it up for bottoms of these shapes. Raises: PrototxtError naming the layer."""
    layer = construct_layer(param, context)
    layer.set_up(bottom_shapes)
    return layer
