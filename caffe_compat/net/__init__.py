"""The net: from a message to layers wired by blob name (``builder``), and the module that runs them (``net``)."""

from caffe_compat.net.net import Net

__all__ = ["Net"]
