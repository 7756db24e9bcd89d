"""What a trained net thinks of noisy labels: p(y|x), p(z|x) and the posterior, batch by batch."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from caffe_compat.arrays import FloatArray, IntArray
from caffe_compat.data.batches import BatchDataset
from caffe_compat.data.datum import decode_datum, parse_datum
from caffe_compat.data.loader import BatchLoader, choose_workers
from caffe_compat.data.transformer import Transformer
from caffe_compat.errors import CaffeCompatError, DataError, WeightsError, expected_got
from caffe_compat.evaluation.label_quality.noisy_records import NoisyRecords
from caffe_compat.evaluation.label_quality.scoring_net import P_TRUE, P_TYPE, POSTERIOR, ScoringNet
from caffe_compat.layers.transformation import make_transformer
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt.deploy import with_inputs
from caffe_compat.weights.merging import merge_weights

_PREFETCH = 4


@dataclass(frozen=True)
class LabelScores:
    """The scores of B records, L classes. All probabilities are float32.

    Attributes:
        keys: the images' paths.
        noisy: (B,) the labels that are judged.
        clean: (B,) the labels that were taken for true in training, -1 where there is none.
        p_true, p_type: (B, L) and (B, 3), p(y|x) and p(z|x): from the image alone.
        q_true, q_type: likewise, from the image and its noisy label (Eq. 5, summed over the other of y and z).
    """

    keys: Sequence[str]
    noisy: IntArray
    clean: IntArray
    p_true: FloatArray
    p_type: FloatArray
    q_true: FloatArray
    q_type: FloatArray


class _OneRound(BatchDataset):
    """Reading ahead goes past the last record; nothing of that is used, so nothing starts again."""

    def restarts(self, batch: int) -> int:
        return 0


class LabelScorer:
    """A trained two-branch net over the images of ``records``, without dropout, mirroring and random crops.

    Args:
        weights: the trained weights; C is theirs, too.
        batch_size: images in a batch; it does not change the scores.
        path: the net's file, for errors.
    Raises: CaffeCompatError if the weights lack a layer or are not finite, or weights, mean, images and labels do not
        fit one another.
    """

    def __init__(
        self,
        scoring: ScoringNet,
        weights: str | os.PathLike[str],
        records: NoisyRecords,
        batch_size: int,
        device: torch.device | None = None,
        path: str | None = None,
    ) -> None:
        self._scoring, self._records, self._batch_size = scoring, records, batch_size
        self._transformer, image_shape, self._workers = self._look_at_images(path)
        shapes = {scoring.image: (batch_size, *image_shape), scoring.noisy_label: (batch_size,)}
        fed = with_inputs(scoring.net, shapes)
        self._net = Net(fed, "TEST", weights, path=path).to(device or torch.device("cpu"))
        given = {name for name, _ in merge_weights([weights], net=fed).layers}
        if missing := [name for name in self._net.params if name not in given]:
            raise WeightsError(f"has no weights for {', '.join(missing)}", path=os.fspath(weights))
        for name, blobs in self._net.params.items():
            if not all(bool(blob.isfinite().all()) for blob in blobs):
                raise WeightsError("expected finite numbers, got nan or inf: the training diverged",
                                   path=os.fspath(weights), layer=name)  # fmt: skip
        self.num_classes: int = self.confusion.shape[0]
        if (most := records.noisy.max()) >= self.num_classes:
            wanted = f"noisy labels in [0, {self.num_classes}), as the net's"
            raise DataError(expected_got(wanted, most), path=records.images.path)

    @property
    def confusion(self) -> FloatArray:
        """C, (L, L), indexed [noisy, true]."""
        blob: FloatArray = self._net.params[self._scoring.noise_layer][0].detach().cpu().numpy()
        return blob.reshape(blob.shape[-2:])

    def __iter__(self) -> Iterator[LabelScores]:
        """All records, once, in order. Raises: DataError naming a record that cannot be read."""
        records, size = self._records, self._batch_size
        dataset = _OneRound(records.images, records.positions, self._transformer, size)
        with contextlib.closing(BatchLoader(dataset, self._workers, _PREFETCH)) as loader, torch.no_grad():
            for start in range(0, len(records.keys), size):
                part = slice(start, start + size)
                yield self._score(next(loader)[0], part)

    def _score(self, images: torch.Tensor, part: slice) -> LabelScores:
        noisy = self._records.noisy[part]
        inputs = {self._scoring.image: images[: len(noisy)], self._scoring.noisy_label: torch.from_numpy(noisy)}
        blobs = self._net(**inputs)
        posterior = blobs[POSTERIOR].squeeze(3)  # (B, L, 3)
        tensors = (blobs[P_TRUE].flatten(1), blobs[P_TYPE].flatten(1), posterior.sum(2), posterior.sum(1))
        values = [tensor.float().clamp(max=1).cpu().numpy() for tensor in tensors]  # sums can be an ulp above
        return LabelScores(self._records.keys[part], noisy, self._records.clean[part], *values)

    def _look_at_images(self, path: str | None) -> tuple[Transformer, tuple[int, ...], int]:
        """The transformer, the shape of what it makes of the first image, and how many processes are to read."""
        images = self._records.images
        try:
            transformer = make_transformer(self._scoring.transform, self._scoring.image, caffe_pb2.TEST, 0)
            datum = parse_datum(images.read(int(self._records.positions[0])))
            image = decode_datum(datum, transformer.decode)
            shape = transformer.output_shape(image.shape)
        except CaffeCompatError as exc:
            problem = f"{exc.path}: {exc.problem}" if exc.path else f"{images.path}: {exc.problem}"
            raise DataError(problem, path=path, field=exc.field) from exc
        workers = 0
        if images.can_be_shared:
            workers = choose_workers(self._batch_size * image.size, datum.encoded, _PREFETCH)
        if workers:
            images.close()  # LMDB must not be open where worker processes start from
        return transformer, shape, workers
