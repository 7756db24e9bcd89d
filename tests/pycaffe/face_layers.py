"""Python layers as the tutorials write them: ``caffe`` is the installed name."""

import caffe
import numpy as np


class EuclideanLossLayer(caffe.Layer):
    def setup(self, bottom, top):
        if len(bottom) != 2:
            raise Exception("Need two inputs to compute distance.")

    def reshape(self, bottom, top):
        if bottom[0].count != bottom[1].count:
            raise Exception("Inputs must have the same dimension.")
        self.diff = np.zeros_like(bottom[0].data, dtype=np.float32)
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.diff[...] = bottom[0].data - bottom[1].data
        top[0].data[...] = np.sum(self.diff**2) / bottom[0].num / 2.0

    def backward(self, top, propagate_down, bottom):
        for i, sign in enumerate([1, -1]):
            if propagate_down[i]:
                bottom[i].diff[...] = sign * self.diff / bottom[i].num


class InnerProductByLoops(caffe.Layer):
    """y = W x + b with the number of outputs in ``param_str``."""

    def setup(self, bottom, top):
        self.blobs.add_blob(int(self.param_str), bottom[0].count // bottom[0].num)
        self.blobs.add_blob(int(self.param_str))

    def reshape(self, bottom, top):
        top[0].reshape(bottom[0].num, int(self.param_str))

    def forward(self, bottom, top):
        weight, bias = self.blobs[0].data, self.blobs[1].data
        for n in range(bottom[0].num):
            x = bottom[0].data[n].ravel()
            for k in range(len(bias)):
                top[0].data[n, k] = sum(w * value for w, value in zip(weight[k], x)) + bias[k]  # noqa: B905

    def backward(self, top, propagate_down, bottom):
        weight = self.blobs[0].data
        x, dx = (array.reshape(bottom[0].num, -1) for array in (bottom[0].data, bottom[0].diff))
        dx[...] = 0
        for n in range(bottom[0].num):
            for k in range(len(weight)):
                g = top[0].diff[n, k]
                self.blobs[0].diff[k] += g * x[n]
                self.blobs[1].diff[k] += g
                dx[n] += g * weight[k]
