"""The processes that train one net together: this one's place among them, and what they tell each other.

Each of S processes has a net of its own on a device of its own, and reads every S-th record (``Share``). torch's
DistributedDataParallel gives all of them the mean of their gradients, so their weights stay the same. One of them, the
root, tests, logs and takes snapshots.

Source: src/caffe/parallel.cpp, which does so with NCCL and threads.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from caffe_compat.data.reading_order import Share
from caffe_compat.net import Net

PATIENCE = timedelta(days=1)  # with a root that is testing
_LOST = (  # what Gloo, NCCL and the meeting's store say
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "remote process exited",
    "Connection was likely closed",
)


@dataclass
class Ranks:
    """The processes that train one net, as this one sees them: by default it is the only one.

    Attributes:
        rank: this process's number, from 0, which is the root.  count: how many there are.
        seed: one for all, of reading orders, crops and mirrors that nobody has chosen a seed for; None where each draws
            its own.
    """

    rank: int = 0
    count: int = 1
    seed: int | None = None

    @property
    def is_root(self) -> bool:
        return self.rank == 0

    @property
    def share(self) -> Share:
        return Share(self.rank, self.count)

    def told(self, number: int) -> int:
        """The root's ``number``; all processes must ask together."""
        return number

    @contextlib.contextmanager
    def root_first(self) -> Iterator[None]:
        """The root does the block alone before the others do it: what is wrong for all is said once."""
        if not self.is_root:
            self.told(0)
        yield
        if self.is_root:
            self.told(0)


class JoinedRanks(Ranks):
    """The processes of torch's default process group, which must have a backend for the CPU. See ``join``."""

    def __init__(self) -> None:
        super().__init__(distributed.get_rank(), distributed.get_world_size())
        self.seed = self.told(int(torch.randint(2**62, ())))

    def told(self, number: int) -> int:
        carrier = torch.tensor(number, dtype=torch.int64)
        distributed.broadcast(carrier, src=0)
        return int(carrier)


class LostRankError(ConnectionError):
    """Another process has ended; what was wrong with it, it has said itself."""


@dataclass(frozen=True)
class Seat:
    """What a process knows of the others before they meet.

    Attributes:
        rank, count: as ``Ranks``.
        local_rank, local_count: the same among the processes of this machine.
        meeting: where they meet, a URL of torch.distributed.
    """

    rank: int
    count: int
    local_rank: int
    local_count: int
    meeting: str = "env://"


def seat_of_torchrun() -> Seat | None:
    """The seat that torchrun gave this process, if it was started by it."""
    if not distributed.is_available() or not distributed.is_torchelastic_launched():
        return None
    rank, count, local_rank, local_count = (
        int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    )
    return Seat(rank, count, local_rank, local_count)


@contextlib.contextmanager
def join(seat: Seat | None, device: torch.device) -> Iterator[Ranks]:
    """Meet the others, for as long as the block runs: over NCCL between GPUs, over Gloo between CPUs.

    All must come to the block's end, unless it is left by an exception.
    Raises: LostRankError if another one ends before its time.
    """
    if seat is None:
        yield Ranks()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(
        backend, init_method=seat.meeting, rank=seat.rank, world_size=seat.count, timeout=PATIENCE
    )
    try:
        ranks = JoinedRanks()
        yield ranks
        ranks.told(0)  # while the root tests for the last time
    except BaseException as exc:
        if device.type == "cpu":  # NCCL's would wait for the others, who wait for this process
            distributed.destroy_process_group()
        if isinstance(exc, RuntimeError) and any(words in str(exc) for words in _LOST):
            raise LostRankError(f"process {seat.rank} of {seat.count}: another one has ended") from exc
        raise
    distributed.destroy_process_group()


class SharedLoss:
    """The loss of the net's next batch, whose gradients are the mean of all processes' after the backward pass.

    Parameters that the loss does not depend on are left without a gradient.
    """

    def __init__(self, net: Net) -> None:
        """The root's parameters become everybody's."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*broadcast_buffers", FutureWarning)  # what follows is not in 2.11
            self._shared = DistributedDataParallel(  # no device_ids: they are for inputs, and there are none
                _Loss(net), broadcast_buffers=False, find_unused_parameters=not net.all_learn
            )

    def __call__(self, is_last: bool) -> Tensor:
        """A scalar to go back from. Gradients are exchanged when ``is_last``; before, they add up."""
        with contextlib.nullcontext() if is_last else self._shared.no_sync():
            loss: Tensor = self._shared()
        return loss


class _Loss(nn.Module):
    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def forward(self) -> Tensor:
        self.net.forward_unfed()
        return self.net.loss
