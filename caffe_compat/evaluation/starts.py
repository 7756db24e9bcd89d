"""The weights a stage starts from: earlier stages' final weights, layers renamed, in one .caffemodel."""

from __future__ import annotations

from caffe_compat.errors import WeightsError
from caffe_compat.evaluation.jobs import Job
from caffe_compat.files import atomic_path
from caffe_compat.proto import caffe_pb2
from caffe_compat.weights import read_weights_message


def write_start(job: Job) -> None:
    """Write ``job.start_file`` from the final weights of the stages that ``job.stage`` starts from.

    Raises: WeightsError if two sources give a layer of the same name; FileNotFoundError for missing weights.
    """
    joined = caffe_pb2.NetParameter(name=job.stage.name)
    taken: set[str] = set()
    for start in job.stage.starts:
        path = str(job.earlier(start.stage).final_weights)
        for layer in read_weights_message(path).layer:
            if not layer.blobs:
                continue
            name = start.renames.get(layer.name, layer.name)
            if name in taken:
                raise WeightsError("two of the earlier stages give this layer", path=path, layer=name)
            taken.add(name)
            kept = joined.layer.add(name=name, type=layer.type)
            kept.blobs.extend(layer.blobs)
    with atomic_path(job.start_file) as part:
        part.write_bytes(joined.SerializeToString())
