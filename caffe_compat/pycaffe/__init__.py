"""pycaffe: what ``import caffe`` gives, on this library.

    import caffe_compat.pycaffe as caffe

or, for scripts that are to stay as they are, ``caffe_compat.pycaffe.install()`` before they ``import caffe``.
"""

from caffe_compat import proto
from caffe_compat.layers import layer_types as layer_type_list
from caffe_compat.layers.python import UserLayer as Layer
from caffe_compat.proto.caffe_pb2 import TEST, TRAIN
from caffe_compat.pycaffe.mode import set_device, set_mode_cpu, set_mode_gpu, set_random_seed
from caffe_compat.pycaffe.net import Net
