"""The layers. Every file of this folder is imported here, so that its types are known: a new layer is one file."""

import importlib
import pkgutil

from caffe_compat.layers.base import BuildContext, Layer, construct_layer, create_layer, layer_types, register

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["BuildContext", "Layer", "construct_layer", "create_layer", "layer_types", "register"]
