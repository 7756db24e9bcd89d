"""The label noise model of Xiao et al. (CVPR 2015): the loss for any PyTorch model, the estimate of its matrix C."""

from caffe_compat.label_noise.confusion import estimate_confusion
from caffe_compat.label_noise.distributed import mean_over_ranks
from caffe_compat.label_noise.functional import Posterior, label_noise_loss, label_noise_posterior
from caffe_compat.label_noise.module import LabelNoiseLoss

__all__ = [
    "LabelNoiseLoss",
    "Posterior",
    "estimate_confusion",
    "label_noise_loss",
    "label_noise_posterior",
    "mean_over_ranks",
]
