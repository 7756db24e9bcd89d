"""The matrices of GLC and forward correction, from what a finished net of the noisy labels predicts."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import torch

from caffe_compat.arrays import FloatArray, IntArray
from caffe_compat.data.database import open_database
from caffe_compat.errors import DataError
from caffe_compat.evaluation.experiments.edits import data_layers
from caffe_compat.evaluation.experiments.jobs import ESTIMATED_OVER, Job, recipe_messages, replace_root
from caffe_compat.evaluation.experiments.progress import Progress
from caffe_compat.evaluation.experiments.recipes import Transition, TransitionKind
from caffe_compat.glog import warnings_only
from caffe_compat.label_noise.transitions import anchor_transition, gold_transition
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt.deploy import prediction_net
from caffe_compat.weights import write_blobproto_file


def write_estimated_transition(job: Job, transition: Transition, device: torch.device, progress: Progress) -> None:
    """Write ``job.transition_file``, (1, 1, L, L) indexed [noisy, true], from the net of ``transition.stage``."""
    noisy_net = job.earlier(transition.stage)
    p_noisy, labels = predictions(noisy_net, ESTIMATED_OVER[transition.kind], device, progress)
    gold = transition.kind is TransitionKind.GOLD
    matrix = gold_transition(p_noisy, labels) if gold else anchor_transition(p_noisy)
    write_blobproto_file(job.transition_file, matrix[np.newaxis, np.newaxis])


def predictions(
    job: Job, database: str, device: torch.device, progress: Progress | None = None
) -> tuple[FloatArray, IntArray]:
    """What the finished net of ``job`` says of every image of a database of its data folder.

    Returns: p(label|x), (N, L) float32, and the labels stored with the images, (N,), in key order.
    """
    description = _reading(job, database)
    with warnings_only():  # its stage's log tells how it is built
        net = Net(description, phase="TEST", weights=str(job.final_weights)).to(device)
    label = description.layer[0].top[1]
    with closing(open_database(job.data / database)) as source:
        count = len(source)
    probabilities, labels, done = [], [], 0
    with torch.no_grad():
        while done < count:
            outputs = net()
            probabilities.append(outputs["prob"].cpu().numpy().copy())
            labels.append(net.blobs[label].cpu().numpy().astype(np.int64))
            done += len(probabilities[-1])
            if progress is not None:
                progress.show_predicted(min(done, count), count)
    if not probabilities:
        raise DataError("no images", path=str(job.data / database))
    return np.concatenate(probabilities)[:count], np.concatenate(labels)[:count]


def _reading(job: Job, database: str) -> caffe_pb2.NetParameter:
    """The prediction net over a Data layer like that of the job's test net, on ``database``."""
    net = recipe_messages(job.stage)[1]
    replace_root(net, job.recipe.data_root, str(job.data))
    data = data_layers(net, caffe_pb2.TEST)[0]
    reading = prediction_net(net)
    reading.layer.insert(0, data)
    first = reading.layer[0]
    first.ClearField("include")
    first.data_param.source = str(Path(job.data) / database)
    return reading
