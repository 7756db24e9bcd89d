"""Whether a net can run without being fed."""

from __future__ import annotations

from caffe_compat.errors import PrototxtError
from caffe_compat.net.net import Net


def check_reads_own_data(net: Net, path: str | None = None) -> None:
    """Raises: PrototxtError for a net that has to be fed, as one of Input layers, which command lines cannot do."""
    if net.inputs:
        problem = f"expected a net that reads data of its own, got one with the inputs {', '.join(net.inputs)}"
        raise PrototxtError(problem, path=path)
