"""Python layers as users of pycaffe write them, for the tests."""

import numpy as np

from caffe_compat.layers.python import UserLayer


class Scale(UserLayer):
    """Multiplies by the number in ``param_str`` (1 if there is none)."""

    def setup(self, bottom, top):
        self.factor = float(self.param_str or 1)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = self.factor * top[0].diff


class EuclideanLoss(UserLayer):
    """The example that came with Caffe: half the mean squared distance of two bottoms."""

    def setup(self, bottom, top):
        if len(bottom) != 2:
            raise Exception("Need two inputs to compute distance.")

    def reshape(self, bottom, top):
        if bottom[0].count != bottom[1].count:
            raise Exception("Inputs must have the same dimension.")
        self.diff = np.zeros_like(bottom[0].data)
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.diff[...] = bottom[0].data - bottom[1].data
        top[0].data[...] = np.sum(self.diff**2) / bottom[0].num / 2.0

    def backward(self, top, propagate_down, bottom):
        for i, sign in enumerate([1, -1]):
            if propagate_down[i]:
                bottom[i].diff[...] = sign * self.diff / bottom[i].num * top[0].diff[0]


class Affine(UserLayer):
    """weight * x + bias with a learned number each; the weight starts as 2."""

    def setup(self, bottom, top):
        self.blobs.add_blob(1)
        self.blobs.add_blob(1)
        self.blobs[0].data[0] = 2

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.blobs[0].data * bottom[0].data + self.blobs[1].data

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[0] += (top[0].diff * bottom[0].data).sum()
        self.blobs[1].diff[0] += top[0].diff.sum()
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff * self.blobs[0].data


class Counter(UserLayer):
    """A data layer: two tops that tell how often it has run, and in which phase."""

    def setup(self, bottom, top):
        self.runs = 0
        top[1].reshape(2)
        top[1].data[...] = self.phase

    def reshape(self, bottom, top):
        top[0].reshape(1, 2)

    def forward(self, bottom, top):
        self.runs += 1
        top[0].data[...] = self.runs


class SquareInPlace(UserLayer):
    """Keeps what it needs and works in place."""

    def setup(self, bottom, top):
        assert bottom[0] is top[0]

    def reshape(self, bottom, top):
        self.kept = np.zeros_like(bottom[0].data)

    def forward(self, bottom, top):
        self.kept[...] = bottom[0].data
        top[0].data[...] **= 2

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] *= 2 * self.kept


class DiffInForward(UserLayer):
    """The sum of cubes, whose gradient is written while it is computed, as many user layers do."""

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        top[0].data[...] = (bottom[0].data ** 3).sum()
        bottom[0].diff[...] = 3 * bottom[0].data ** 2

    def backward(self, top, propagate_down, bottom):
        pass


class Recorder(UserLayer):
    """Has no tops; remembers what it has seen."""

    def setup(self, bottom, top):
        self.seen = []

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        blob = bottom[0]
        self.seen.append((blob.shape, blob.count, blob.num, blob.channels, blob.height, blob.width, blob.data.sum()))


class Failing(Scale):
    """Raises KeyError in the method named by ``param_str``."""

    def __init__(self, layer_param):
        super().__init__(layer_param)
        self.fail(layer_param.python_param.param_str, "__init__")

    def fail(self, method, here):
        if method == here:
            raise KeyError("the user's mistake")

    def setup(self, bottom, top):
        self.factor = 1
        self.fail(self.param_str, "setup")

    def reshape(self, bottom, top):
        super().reshape(bottom, top)
        self.fail(self.param_str, "reshape")

    def forward(self, bottom, top):
        super().forward(bottom, top)
        self.fail(self.param_str, "forward")

    def backward(self, top, propagate_down, bottom):
        self.fail(self.param_str, "backward")


class NoBackward(UserLayer):
    setup = reshape = lambda self, bottom, top: top[0].reshape(1)

    def forward(self, bottom, top):
        pass


class NoForward(UserLayer):
    def setup(self, bottom, top):
        pass
