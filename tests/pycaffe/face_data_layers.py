"""A data layer in Python as the multilabel tutorial writes it: options in ``param_str``, images from a list."""

import caffe
import numpy as np


class MultilabelDataLayerSync(caffe.Layer):
    def setup(self, bottom, top):
        self.top_names = ["data", "label"]
        params = eval(self.param_str)
        self.batch_size = params["batch_size"]
        self.batch_loader = BatchLoader(params)
        top[0].reshape(self.batch_size, 3, params["im_shape"][0], params["im_shape"][1])
        top[1].reshape(self.batch_size, 20)

    def forward(self, bottom, top):
        for itt in range(self.batch_size):
            im, multilabel = self.batch_loader.load_next_image()
            top[0].data[itt, ...] = im
            top[1].data[itt, ...] = multilabel

    def reshape(self, bottom, top):
        pass

    def backward(self, top, propagate_down, bottom):
        pass


class BatchLoader:
    def __init__(self, params):
        with open(params["split"]) as f:
            self.lines = f.read().splitlines()
        self.root, self.im_shape = params["root"], params["im_shape"]
        self._cur = 0

    def load_next_image(self):
        if self._cur == len(self.lines):
            self._cur = 0
        name, label = self.lines[self._cur].split()
        self._cur += 1
        im = caffe.io.resize_image(caffe.io.load_image(self.root + "/" + name), self.im_shape)
        multilabel = np.zeros(20).astype(np.float32)
        multilabel[[int(label), 19]] = 1
        return (255 * im[:, :, ::-1] - 128).transpose((2, 0, 1)) / 128, multilabel


class PhaseLayer(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape()

    def forward(self, bottom, top):
        top[0].data[()] = self.phase


class ParameterLayer(caffe.Layer):
    def setup(self, bottom, top):
        self.blobs.add_blob(1)
        self.blobs[0].data[0] = 0

    def reshape(self, bottom, top):
        top[0].reshape(10)

    def forward(self, bottom, top):
        pass

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[0] = 1
