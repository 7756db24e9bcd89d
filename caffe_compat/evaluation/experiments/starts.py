"""The weights a stage starts from: earlier stages' final weights, layers renamed, in one .caffemodel."""

from __future__ import annotations

from caffe_compat.evaluation.experiments.jobs import Job
from caffe_compat.weights.merging import Rename, merge_weights, write_merged


def write_start(job: Job) -> None:
    """Write ``job.start_file`` from the final weights of the stages that ``job.stage`` starts from.

    Raises: WeightsError for weights that are missing, or if two stages give a layer of the same name.
    """
    inputs = [str(job.earlier(start.stage).final_weights) for start in job.stage.starts]
    renames = [
        Rename(source, target, number)
        for number, start in enumerate(job.stage.starts, 1)
        for source, target in start.renames.items()
    ]
    write_merged(str(job.start_file), merge_weights(inputs, renames), job.stage.name)
