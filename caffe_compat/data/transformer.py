"""Caffe's DataTransformer: crop, mirror, subtract the mean, scale; record by record into one batch array."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from caffe_compat.data.datum import DECODE_AS_STORED, DECODE_COLOR, DECODE_GRAY
from caffe_compat.errors import DataError, PrototxtError, expected_got
from caffe_compat.proto import caffe_pb2


class Transformer:
    """What a ``transform_param`` does to the records of one database.

    The random numbers of a record depend on the seed and on the record's running number only, so a batch is the
    same whichever process makes it and wherever reading began.

    Args:
        param: the options.
        phase: TRAIN crops at random; TEST crops the centre. Mirroring is random in both, as in Caffe.
        mean: the content of ``mean_file``, (C, H, W) or (1, C, H, W) float32, in uncropped coordinates.
        seed: two non-negative integers below 2**64.
    Raises: PrototxtError, without a file or layer, if options exclude each other.
    Source: src/caffe/data_transformer.cpp. Deviation: Caffe draws from one stream per layer.
    """

    def __init__(
        self,
        param: caffe_pb2.TransformationParameter,
        phase: int = caffe_pb2.TEST,
        mean: np.ndarray | None = None,
        seed: tuple[int, int] = (0, 0),
    ) -> None:
        if param.HasField("mean_file") and param.mean_value:
            raise PrototxtError("cannot be given together with mean_value", field="transform_param.mean_file")
        if param.force_color and param.force_gray:
            raise PrototxtError("cannot be set together with force_gray", field="transform_param.force_color")
        self.crop_size = param.crop_size
        self.decode = DECODE_COLOR if param.force_color else DECODE_GRAY if param.force_gray else DECODE_AS_STORED
        self._mirror, self._random_crop = param.mirror, phase == caffe_pb2.TRAIN and param.crop_size > 0
        self._scale = np.float32(param.scale)
        self._mean_file = param.mean_file
        self._mean = None if mean is None else np.asarray(mean, np.float32).reshape(mean.shape[-3:])
        self._mean_values = np.array(param.mean_value, np.float32)
        self._seed = seed

    @property
    def is_random(self) -> bool:
        return self._mirror or self._random_crop

    def output_shape(self, shape: Sequence[int]) -> tuple[int, int, int]:
        """The shape after cropping of a record of ``shape`` (C, H, W).

        Raises: DataError if the record is smaller than the crop or does not fit the mean.
        """
        channels, height, width = shape
        crop = self.crop_size
        if crop and (height < crop or width < crop):
            raise _misfit("crop_size", f"records of at least {crop} x {crop} pixels", f"{height} x {width}")
        if self._mean is not None and self._mean.shape != tuple(shape):
            wanted = f'records of the size of "{self._mean_file}", {_size(self._mean.shape)}'
            raise _misfit("mean_file", wanted, _size(shape))
        if self._mean_values.size not in (0, 1, channels):
            raise _misfit("mean_value", f"1 or as many as channels ({channels})", self._mean_values.size)
        return (channels, crop, crop) if crop else (channels, height, width)

    def draw(self, records: np.ndarray) -> np.ndarray:
        """Random bits for the records with these running numbers, (n,) ascending: (n, 4) uint64."""
        if not self.is_random:
            return np.zeros((len(records), 4), np.uint64)
        return random_bits(self._seed, records)

    def transform(self, image: np.ndarray, bits: np.ndarray, out: np.ndarray) -> None:
        """Transform one record.

        Shapes: image (C, H, W), uint8 or float32, which ``output_shape`` accepts; bits (4,), a row of ``draw``;
            out (C, h, w) float32, overwritten.
        """
        mirrored = self._mirror and int(bits[0]) & 1
        self._centre(image, self._window(image.shape, bits), out[:, :, ::-1] if mirrored else out)

    def transform_stack(self, images: np.ndarray, bits: np.ndarray, out: np.ndarray) -> None:
        """As ``transform`` for records of one shape together: images (B, C, H, W), bits (B, 4), out (B, C, h, w)."""
        if self.is_random:
            for image, image_bits, image_out in zip(images, bits, out, strict=True):
                self.transform(image, image_bits, image_out)
        else:
            self._centre(images, self._window(images.shape[1:], bits[0]), out)

    def _centre(self, images: np.ndarray, window: tuple[slice, slice], out: np.ndarray) -> None:
        """Crop, subtract the mean and scale; (C, H, W) or (B, C, H, W)."""
        rows, columns = window
        pixels = images[..., rows, columns]
        if self._mean is not None:
            np.subtract(pixels, self._mean[:, rows, columns], out=out)
        elif self._mean_values.size:
            np.subtract(pixels, self._mean_values[:, None, None], out=out)
        else:
            out[...] = pixels
        if self._scale != 1:
            out *= self._scale

    def _window(self, shape: Sequence[int], bits: np.ndarray) -> tuple[slice, slice]:
        crop = self.crop_size
        if not crop:
            return slice(None), slice(None)
        spare = shape[1] - crop, shape[2] - crop
        if self._random_crop:
            top, left = int(bits[1]) % (spare[0] + 1), int(bits[2]) % (spare[1] + 1)
        else:
            top, left = spare[0] // 2, spare[1] // 2
        return slice(top, top + crop), slice(left, left + crop)


def random_bits(seed: tuple[int, int], records: np.ndarray) -> np.ndarray:
    """Four random numbers a record, (n, 4) uint64, that depend on the seed and its running number only.

    Shapes: records (n,), the running numbers, ascending.
    """
    if not len(records):
        return np.zeros((0, 4), np.uint64)
    first, last = int(records[0]), int(records[-1])
    bits = np.random.Philox(key=np.array(seed, np.uint64))  # a counter: one block of 4 numbers a record
    bits.advance(first)
    return bits.random_raw(4 * (last - first + 1)).reshape(-1, 4)[records - first]


def _misfit(field: str, expected: str, got: object) -> DataError:
    return DataError(expected_got(expected, got), field=f"transform_param.{field}")


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
