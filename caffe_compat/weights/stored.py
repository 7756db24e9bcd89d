"""A layer's blobs, whatever file they come from or go to."""

from __future__ import annotations

from dataclasses import dataclass

from caffe_compat.weights.blobs import Array, StoredBlob

_WEIGHT_DIMS = {"Convolution": 4, "Deconvolution": 4, "InnerProduct": 2, "Embed": 2}


@dataclass(frozen=True)
class StoredLayer:
    """A layer as a weights file holds it.

    Attributes:
        name: its name.
        type: its type, "" where the file does not tell.
        blobs: its blobs by their index, counted from 0.
        leaves_out_shared: the file has a blob that several layers share with its first layer only, as HDF5 files do.
    """

    name: str
    type: str
    blobs: dict[int, StoredBlob]
    leaves_out_shared: bool = False

    def current_array(self, index: int) -> Array:
        """Blob ``index`` in the shape that it has in today's Caffe; legacy ones have four dims whatever they are."""
        blob = self.blobs[index]
        if not blob.is_legacy:
            return blob.array
        leading = 4 - (_WEIGHT_DIMS.get(self.type, 1) if index == 0 else 1)
        shape = blob.array.shape
        return blob.array.reshape(shape[leading:]) if shape[:leading] == (1,) * leading else blob.array
