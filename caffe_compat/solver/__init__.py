"""Caffe's solvers: the loop, the update rules, the learning-rate policies, snapshots."""

from caffe_compat.solver.signals import Action, signal_actions
from caffe_compat.solver.solver import Solver

__all__ = ["Action", "Solver", "signal_actions"]
