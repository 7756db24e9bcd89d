"""The file of label scores: Parquet, written and read batch by batch, with the same columns as CSV.

============================================  =======================================================================
column                                        content
============================================  =======================================================================
key                                           the image's path, as in the other lists of the data set
noisy                                         the label that is judged, int32
true_1 .. true_3, p_true_1 .. p_true_3        the most probable true labels of the image alone, and p(y|x), float32;
                                              true_3 is null where there are two classes
p_type_free, p_type_random, p_type_confusing  p(z|x) of the noise types, float32
q_type_free, q_type_random, q_type_confusing  the same with the noisy label known: the posterior, float32
suggested, q_suggested                        the most probable true label given image and noisy label, int32; its
                                              posterior, float32
q_noisy, p_wrong                              the posterior that the noisy label is right, and 1 - q_noisy, float32,
                                              or, in calibrated scores, the probability that it is wrong; q_noisy
                                              ranks the surest errors where p_wrong rounds to 1
truth                                         the true label where it was given, else null, int32
clean                                         the label that was taken for true in training, else null, int32
p_true, q_true                                p(y|x) and the posterior of all classes (only with ``full``; not in CSV)
============================================  =======================================================================

The schema's metadata has one entry of ours, ``label_scores``: JSON of :class:`ScoresInfo`.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from caffe_compat.arrays import FloatArray, IntArray
from caffe_compat.data.database import LMDB
from caffe_compat.datasets.samples import NO_LABEL
from caffe_compat.errors import CaffeCompatError, DataError, expected_got
from caffe_compat.evaluation.label_quality.calibration import Calibration
from caffe_compat.evaluation.label_quality.label_scores import LabelScores
from caffe_compat.files import atomic_path

PathLike = str | os.PathLike[str]

METADATA = b"label_scores"
TYPES = ("free", "random", "confusing")
TOP = 3
LISTS = ("p_true", "q_true")
_FORMAT = 1
_GROUP_BYTES = 2**25


@dataclass(frozen=True)
class ScoresInfo:
    """Where scores come from.

    Attributes:
        class_names: L names.
        confusion: C of the net, L rows of L, indexed [noisy][true].
        model, weights: the files of the net.
        images, backend: the image database that the keys are from.
        versions: of Python and the libraries.
        calibration: how ``p_wrong`` follows from ``q_noisy``; None: it is 1 - ``q_noisy``.
        format: of the file, 1.
    """

    class_names: list[str]
    confusion: list[list[float]]
    model: str
    weights: str
    images: str
    backend: str = LMDB
    versions: dict[str, str] = field(default_factory=dict)
    calibration: Calibration | None = None
    format: int = _FORMAT

    @property
    def num_classes(self) -> int:
        return len(self.class_names)


class ScoresWriter:
    """Writes scores as they come. Use as a context manager; the file is whole after its end.

    Args:
        parquet, csv: where to write, in place: pass temporary names of ``files.atomic_path``; ``csv`` None writes none.
        full: also the probabilities of all classes.
    """

    def __init__(self, parquet: PathLike, csv: PathLike | None, info: ScoresInfo, full: bool = False) -> None:
        pa = _pyarrow()
        self.schema = scores_schema(info, full)
        self._columns = [name for name in self.schema.names if name not in LISTS]
        row_bytes = 4 * (len(self._columns) + (2 * info.num_classes if full else 0))
        self._rows_per_group = max(1, _GROUP_BYTES // row_bytes)
        self._waiting: list[Any] = []
        self._rows_waiting = 0
        self._files = contextlib.ExitStack()
        self._parquet = self._files.enter_context(pa.parquet.ParquetWriter(os.fspath(parquet), self.schema))
        self._csv = None
        if csv is not None:
            plain = pa.schema([self.schema.field(name) for name in self._columns])
            options = pa.csv.WriteOptions(quoting_style="needed", quoting_header="none")
            self._csv = self._files.enter_context(pa.csv.CSVWriter(os.fspath(csv), plain, write_options=options))

    def __enter__(self) -> ScoresWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._files:
            if exc is None:
                self._flush()

    def write(self, scores: LabelScores, truth: npt.ArrayLike | None = None) -> None:
        """Append the records of a batch; ``truth`` (B,) their true labels, -1 where not known."""
        self.append(_record_batch(scores, truth, self.schema))

    def append(self, batch: Any) -> None:
        """Append a ``pyarrow.RecordBatch`` of the file's columns."""
        if self._csv is not None:
            self._csv.write_batch(batch.select(self._columns))
        self._waiting.append(batch)
        self._rows_waiting += batch.num_rows
        if self._rows_waiting >= self._rows_per_group:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._parquet.write_table(_pyarrow().Table.from_batches(self._waiting), row_group_size=self._rows_waiting)
        self._waiting, self._rows_waiting = [], 0


@contextlib.contextmanager
def new_scores(parquet: PathLike, csv: PathLike | None, info: ScoresInfo, full: bool = False) -> Iterator[ScoresWriter]:
    """A writer of files that appear whole at the end, and not where something fails."""
    with contextlib.ExitStack() as files:
        part = files.enter_context(atomic_path(parquet))
        csv_part = None if csv is None else files.enter_context(atomic_path(csv))
        yield files.enter_context(ScoresWriter(part, csv_part, info, full))


def write_calibrated(
    scores: ScoresFile,
    calibration: Calibration,
    truth: Mapping[str, int] | None,
    parquet: PathLike,
    csv: PathLike | None = None,
) -> None:
    """Write ``scores`` with another ``p_wrong``, and with the true labels of ``truth``, by key, where it knows them."""
    pa = _pyarrow()
    info = replace(scores.info, calibration=calibration)
    with new_scores(parquet, csv, info, full=set(LISTS) <= set(scores.columns)) as writer:
        for batch in scores:
            columns = {name: batch.column(name) for name in scores.columns}
            columns["p_wrong"] = pa.array(calibration.p_wrong(columns["q_noisy"].to_numpy()))
            if truth:
                both = zip(columns["key"].to_pylist(), columns["truth"].to_pylist(), strict=True)
                columns["truth"] = pa.array([truth.get(key, known) for key, known in both], pa.int32())
            writer.append(pa.record_batch(list(columns.values()), schema=writer.schema))


def scores_schema(info: ScoresInfo, full: bool) -> Any:
    """The ``pyarrow.Schema`` of a file: columns in order, ``info`` as its metadata."""
    pa = _pyarrow()
    fields = [("key", pa.string()), ("noisy", pa.int32())]
    fields += [(f"true_{rank}", pa.int32()) for rank in range(1, TOP + 1)]
    fields += [(f"p_true_{rank}", pa.float32()) for rank in range(1, TOP + 1)]
    fields += [(f"{which}_type_{name}", pa.float32()) for which in "pq" for name in TYPES]
    fields += [("suggested", pa.int32())]
    fields += [(name, pa.float32()) for name in ("q_suggested", "q_noisy", "p_wrong")]
    fields += [("truth", pa.int32()), ("clean", pa.int32())]
    fields += [(name, pa.list_(pa.float32(), info.num_classes)) for name in LISTS if full]
    return pa.schema(fields, metadata={METADATA: json.dumps(asdict(info))})


def _record_batch(scores: LabelScores, truth: npt.ArrayLike | None, schema: Any) -> Any:
    pa = _pyarrow()
    columns = {name: values for name, values in _columns(scores).items() if name in schema.names}
    columns["truth"] = np.full(len(scores.keys), NO_LABEL) if truth is None else np.asarray(truth)
    columns["clean"] = scores.clean
    arrays = [pa.array(scores.keys, pa.string())]
    for kind in list(schema)[1:]:
        values = columns[kind.name]
        if values.ndim == 2:
            flat = pa.array(np.ascontiguousarray(values).ravel(), pa.float32())
            arrays.append(pa.FixedSizeListArray.from_arrays(flat, values.shape[1]))
        else:
            is_label = kind.type == pa.int32()
            arrays.append(pa.array(values, kind.type, mask=values == NO_LABEL if is_label else None))
    return pa.record_batch(arrays, schema=schema)


def _columns(scores: LabelScores) -> dict[str, np.ndarray]:
    rows = np.arange(len(scores.noisy))
    order = np.argsort(-scores.p_true, axis=1, kind="stable")[:, :TOP]
    suggested = scores.q_true.argmax(1)
    q_noisy = scores.q_true[rows, scores.noisy]
    columns = {"noisy": scores.noisy, "suggested": suggested, "q_suggested": scores.q_true[rows, suggested]}
    columns |= {"q_noisy": q_noisy, "p_wrong": np.float32(1) - q_noisy}
    columns |= {"p_true": scores.p_true, "q_true": scores.q_true}
    for rank in range(TOP):
        there = rank < order.shape[1]
        columns[f"true_{rank + 1}"] = order[:, rank] if there else np.full(len(rows), NO_LABEL)
        columns[f"p_true_{rank + 1}"] = (
            scores.p_true[rows, order[:, rank]] if there else np.zeros(len(rows), np.float32)
        )
    for number, name in enumerate(TYPES):
        columns[f"p_type_{name}"], columns[f"q_type_{name}"] = scores.p_type[:, number], scores.q_type[:, number]
    return columns


class ScoresFile:
    """A file of scores that is there. Iterating gives ``pyarrow.RecordBatch``es of all columns.

    Attributes:
        path: the file.
        info: where its scores come from.
        num_rows: records in it.
        columns: names, in order.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = os.fspath(path)
        pa = _pyarrow()
        try:
            self._file = pa.parquet.ParquetFile(path)
        except pa.ArrowInvalid as exc:
            problem = "not a Parquet file, or broken; score_labels --out writes one (its CSV will not do)"
            raise DataError(problem, path=self.path) from exc
        schema = self._file.schema_arrow
        self.info = _info((schema.metadata or {}).get(METADATA), self.path)
        self.num_rows: int = self._file.metadata.num_rows
        self.columns: list[str] = schema.names

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file.iter_batches())

    def table(self, columns: Sequence[str]) -> Any:
        """Whole columns as a ``pyarrow.Table``. Raises: DataError for a column that is not there."""
        self._require(columns)
        return self._file.read(columns=list(columns))

    def arrays(self, columns: Sequence[str]) -> Mapping[str, np.ndarray]:
        """Whole columns as arrays: (N,), lists (N, L), keys as objects, labels int64 with -1 for null."""
        return {name: _as_array(column) for name, column in zip(columns, self.table(columns).columns, strict=True)}

    def labels_of_all_classes(self) -> Mapping[str, np.ndarray]:
        """``p_true`` and ``q_true``, (N, L). Raises: DataError if the file was written without them."""
        if not set(LISTS) <= set(self.columns):
            raise DataError("lacks the probabilities of all classes; write it with score_labels --full", path=self.path)
        return self.arrays(LISTS)

    def _require(self, columns: Sequence[str]) -> None:
        for name in columns:
            if name not in self.columns:
                raise DataError(f"no column {name!r}: {expected_got('label scores', ', '.join(self.columns))}",
                                path=self.path)  # fmt: skip


def read_scores(path: PathLike) -> ScoresFile:
    """Open a file of label scores. Raises: DataError if it is none."""
    return ScoresFile(path)


def _info(text: bytes | None, path: str) -> ScoresInfo:
    try:
        if text is None:
            raise ValueError("its schema has no metadata of ours")
        content = json.loads(text)
        if content["format"] != _FORMAT:
            raise ValueError(f"format: {expected_got(_FORMAT, content['format'])}")
        if content.get("calibration") is not None:
            content["calibration"] = Calibration(**content["calibration"])
        return ScoresInfo(**content)
    except (ValueError, KeyError, TypeError) as exc:
        raise DataError(f"not a file of label scores: {exc}; tools/score_labels.py makes one", path=path) from exc


def _as_array(column: Any) -> np.ndarray:
    pa = _pyarrow()
    joined = column.combine_chunks()
    if pa.types.is_fixed_size_list(joined.type):
        values: FloatArray = joined.flatten().to_numpy()
        return values.reshape(-1, joined.type.list_size)
    if pa.types.is_integer(joined.type):
        labels: IntArray = joined.fill_null(NO_LABEL).to_numpy(zero_copy_only=False).astype(np.int64)
        return labels
    return np.asarray(joined.to_numpy(zero_copy_only=False))


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.csv
        import pyarrow.parquet
    except ImportError as exc:
        raise CaffeCompatError("label scores need the package pyarrow (pip install pyarrow)") from exc
    return pyarrow
