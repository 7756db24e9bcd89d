"""ReLU. Source: src/caffe/layers/relu_layer.cpp."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from caffe_compat.layers.base import Layer, register


@register("ReLU")
class ReLU(Layer):
    """max(x, 0) + negative_slope * min(x, 0); the gradient at 0 is negative_slope's."""

    overwrites_bottom = True

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        slope = self.param.relu_param.negative_slope
        return (F.leaky_relu(bottoms[0], slope) if slope else F.relu(bottoms[0]),)

    def forward_in_place(self, bottom: Tensor) -> Tensor:
        slope = self.param.relu_param.negative_slope
        if slope < 0:  # torch cannot tell the sign of x from the result then
            return self.forward(bottom)[0]
        return F.leaky_relu(bottom, slope, inplace=True) if slope else F.relu(bottom, inplace=True)
