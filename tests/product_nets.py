"""Pieces of small nets: inputs, InnerProduct layers, a loss."""

DATA = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 } } }\n'
LABEL = 'layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 4 } } }\n'
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }\n'


def product(name: str = "ip", bottom: str = "data", top: str = "", outputs: int = 3, extra: str = "") -> str:
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{top or name}" {extra} '
        f'inner_product_param {{ num_output: {outputs} weight_filler {{ type: "xavier" }} '
        'bias_filler { type: "uniform" } } }\n'
    )


SHARED = 'param { name: "w" } param { name: "b" }'  # for two layers that share their parameters
