"""Old nets and solvers in the current format; one file a step.

Source: src/caffe/util/upgrade_proto.cpp.
"""

from caffe_compat.prototxt.upgrade.steps import needs_upgrade, solver_needs_upgrade, upgrade_net, upgrade_solver

__all__ = ["needs_upgrade", "solver_needs_upgrade", "upgrade_net", "upgrade_solver"]
