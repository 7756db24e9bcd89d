"""The mean of a loss over a batch that several processes share."""

from __future__ import annotations

import torch
from torch import Tensor, distributed


def mean_over_ranks(total: Tensor, count: Tensor | int) -> Tensor:
    """The mean over the whole batch, as each rank of DistributedDataParallel must go back from it.

    DDP gives every rank the mean of the ranks' gradients. Over W ranks the batch's mean is sum(total) / sum(count), so
    rank r goes back from W * total_r / sum(count). A rank's own mean, total_r / count_r, is the same only while all
    counts are equal: where they are numbers of labelled rows, a rank with few of them would weigh each too much.

        loss = LabelNoiseLoss(C, reduction="sum")
        mean_over_ranks(loss(scores_y, scores_z, noisy), (noisy >= 0).sum()).backward()    # "labelled"
        mean_over_ranks(loss(scores_y, scores_z, noisy), len(noisy)).backward()            # "batch", Caffe's

    Shapes: total () or (K,), this rank's sums; count the same or one number, the rows that this rank's sums are
        divided for. The result has total's shape; its mean over the ranks is the batch's mean. Without a process group
        it is total / count. A count of 0 on all ranks counts as 1.
    """
    counts = torch.as_tensor(count, dtype=torch.float64 if total.dtype == torch.float64 else torch.float32)
    counts = counts.to(total.device, copy=True)
    ranks = 1
    if distributed.is_available() and distributed.is_initialized():
        ranks = distributed.get_world_size()
        distributed.all_reduce(counts)
    return total * ranks / counts.clamp(min=1)
