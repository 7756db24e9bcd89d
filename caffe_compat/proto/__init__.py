"""The messages of Caffe's interface: ``caffe_pb2`` is generated from ``caffe.proto`` beside it (README there)."""
