"""LSTMUnit, LSTM and RNN.

Caffe unrolls a recurrent layer into a net of its own; here it is a loop over the timesteps with the same parameter
blobs and the same names.
Source: src/caffe/layers/recurrent_layer.cpp, lstm_layer.cpp, lstm_unit_layer.cpp, rnn_layer.cpp.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from caffe_compat.errors import expected_got
from caffe_compat.glog import shape_text
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.debug_lines import log_gradient, log_mean
from caffe_compat.layers.shapes import Shape, count

logger = logging.getLogger("caffe_compat")


def lstm_step(cell: Tensor, gate_input: Tensor, cont: Tensor) -> tuple[Tensor, Tensor]:
    """One timestep: the new cell and the new hidden state.

    (i, f, o, g) = gate_input along the last axis; c' = cont * sigmoid(f) * c + sigmoid(i) * tanh(g);
    h' = sigmoid(o) * tanh(c').
    Shapes: cell (1, N, D), gate_input (1, N, 4 D), cont (1, N).
    Deviations: where cont is neither 0 nor 1, Caffe's CPU code takes s' = s (1 - s) of s = cont * sigmoid(f) for the
        gradient of f; here, as on its GPU, it is the true one.
    """
    input_gate, forget_gate, output_gate, candidate = gate_input.chunk(4, -1)
    kept = cont.unsqueeze(-1) * forget_gate.sigmoid() * cell
    cell = kept + input_gate.sigmoid() * candidate.tanh()
    return cell, output_gate.sigmoid() * cell.tanh()


def check_propagate_down(layer: Layer, cont: int) -> None:
    """Refuse ``propagate_down: true`` for the continuation indicators, bottom number ``cont``."""
    if layer.param.propagate_down and layer.param.propagate_down[cont]:
        raise layer.error("cannot backpropagate to sequence indicators", field="propagate_down")


@register("LSTMUnit")
class LSTMUnit(Layer):
    """One timestep of an LSTM without its weights.

    Shapes: bottoms the cell (1, N, D), the gates' inputs (1, N, 4 D) in the order input, forget, output, candidate,
        and the continuation indicator (1, N), which gets no gradient; tops the new cell and hidden state, (1, N, D).
    """

    bottoms = (3, 3)
    tops = (2, 2)
    label_bottoms = (2,)

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        check_propagate_down(self, 2)

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        cell, gates, cont = bottom_shapes
        if len(cell) != 3 or cell[0] != 1:
            raise self.error(expected_got("a cell of shape (1, N, D)", shape_text(cell)), field="bottom")
        for what, shape, wanted in (
            ("gates", gates, (1, cell[1], 4 * cell[2])),
            ("continuation indicators", cont, (1, cell[1])),
        ):
            if shape != wanted:
                raise self.error(expected_got(f"{what} of shape {wanted}", shape_text(shape)), field="bottom")
        return [cell, cell]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        cell, gates, cont = bottoms
        return lstm_step(cell, gates, cont)


class _Recurrent(Layer):
    """A layer with a hidden state that goes from one timestep to the next.

    Bottoms: x (T, N, ...), the continuation indicators cont (T, N), optionally x_static (N, ...), and with
    ``expose_hidden`` the state before the first timestep. Tops: the output (T, N, num_output), and with
    ``expose_hidden`` the state after the last timestep. Where the state is not exposed, the last one of a forward
    pass is the first one of the next (zeros at the start). Where cont is 0 a new sequence begins: the state counts
    as 0. No gradient goes to cont, into an exposed state or out of one.
    """

    states: tuple[str, ...] = ()  # the state's blobs in the unrolled net, without the number of the timestep
    label_bottoms = (1,)

    def open(self) -> None:
        self.options = self.param.recurrent_param
        exposed = len(self.states) if self.options.expose_hidden else 0
        self.bottoms, self.tops = (2 + exposed, 3 + exposed), (1 + exposed, 1 + exposed)

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        check_propagate_down(self, 1)
        if self.options.num_output < 1:
            raise self.error(expected_got("> 0", self.options.num_output), field="recurrent_param.num_output")
        self.has_static = len(bottom_shapes) == self.bottoms[1]
        self._check_bottoms(bottom_shapes)
        logger.info(
            "Initializing recurrent layer: assuming input batch contains %d timesteps of %d independent streams.",
            *bottom_shapes[0][:2],
        )
        static = count(bottom_shapes[2][1:]) if self.has_static else 0
        self.add_weights(count(bottom_shapes[0][2:]), static)
        self._state: list[Tensor] = []

    def add_weights(self, inputs: int, static: int) -> None:
        """Make the parameter blobs for so many inputs per stream, and static ones (0: there are none)."""
        raise NotImplementedError

    def unroll(
        self, x: Tensor, cont: Tensor, x_static: Tensor | None, state: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """The outputs of all timesteps and the last state. Shapes: x and x_static are flat behind their streams."""
        raise NotImplementedError

    def add_weight(self, *shape: int) -> None:
        self.add_blob(shape, self.options.weight_filler, "recurrent_param.weight_filler")

    def add_bias(self, size: int) -> None:
        self.add_blob((size,), self.options.bias_filler, "recurrent_param.bias_filler")

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        self._check_bottoms(bottom_shapes)
        timesteps, streams = bottom_shapes[0][:2]
        states = [(1, streams, self.options.num_output)] * (len(self.param.top) - 1)
        return [(timesteps, streams, self.options.num_output), *states]

    def _check_bottoms(self, shapes: Sequence[Shape]) -> None:
        if len(shapes[0]) < 3:
            problem = expected_got("3 axes or more (timesteps, streams, ...)", shape_text(shapes[0]))
            raise self.error(problem, field="bottom")
        if shapes[1] != shapes[0][:2]:
            problem = expected_got(f"continuation indicators of shape {shapes[0][:2]}", shape_text(shapes[1]))
            raise self.error(problem, field="bottom")
        if self.has_static and (len(shapes[2]) < 2 or shapes[2][0] != shapes[0][1]):
            problem = expected_got(f"a static input of shape ({shapes[0][1]}, ...)", shape_text(shapes[2]))
            raise self.error(problem, field="bottom")
        wanted = (1, shapes[0][1], self.options.num_output)
        for shape in shapes[2 + self.has_static :]:
            if shape != wanted:
                raise self.error(expected_got(f"a hidden state of shape {wanted}", shape_text(shape)), field="bottom")

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        x, cont, *others = bottoms
        x_static = others.pop(0).flatten(1) if self.has_static else None
        state = [blob.detach() for blob in others] or self._last_state(x)
        top, state = self.unroll(x.flatten(2), cont.to(x.dtype), x_static, state)
        state = [blob.detach() for blob in state]
        if self.options.expose_hidden:
            return (top, *state)
        self._state = state
        return (top,)

    def _last_state(self, x: Tensor) -> list[Tensor]:
        shape = (1, x.shape[1], self.options.num_output)
        if not self._state or self._state[0].shape != shape:
            return [x.new_zeros(shape)] * len(self.states)
        return [blob.to(x) for blob in self._state]

    def reset_state(self) -> None:
        """Let the next forward pass start from zeros (Caffe's Reset)."""
        self._state = []

    def seen(self, layer: str, blob: str, values: Tensor) -> Tensor:
        """``values``, logged under ``debug_info`` as ``blob``, the top of ``layer`` in Caffe's unrolled net."""
        if self.options.debug_info:
            what = f"Layer {self.param.name}_{layer}, top blob {blob}"
            log_mean("Forward", f"{what} data", values)
            log_gradient(values, f"{what} diff")
        return values


@register("LSTM")
class LSTM(_Recurrent):
    """Long short-term memory: gates_t = W_xc x_t + b_c + W_xc_static x_static + W_hc h_(t-1), then as LSTMUnit.

    Parameters: W_xc (4 D, inputs), b_c (4 D,), W_xc_static (4 D, static inputs) where there are any, W_hc (4 D, D).
    The state is h, c; the output h.
    """

    states = ("h", "c")

    def add_weights(self, inputs: int, static: int) -> None:
        size = self.options.num_output
        self.add_weight(4 * size, inputs)
        self.add_bias(4 * size)
        if static:
            self.add_weight(4 * size, static)
        self.add_weight(4 * size, size)

    def unroll(
        self, x: Tensor, cont: Tensor, x_static: Tensor | None, state: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        weight, bias, *others = self.shaped_blobs()
        gates = self.seen("x_transform", "W_xc_x", F.linear(x, weight, bias))
        if x_static is not None:
            gates = gates + self.seen("W_xc_x_static", "W_xc_x_static_preshape", F.linear(x_static, others[0]))
        hidden, cell = state
        outputs = []
        for t in range(1, len(x) + 1):
            now = cont[t - 1 : t]
            conted = self.seen(f"h_conted_{t - 1}", f"h_conted_{t - 1}", now.unsqueeze(-1) * hidden)
            from_hidden = self.seen(f"transform_{t}", f"W_hc_h_{t - 1}", F.linear(conted, others[-1]))
            gate_input = self.seen(f"gate_input_{t}", f"gate_input_{t}", from_hidden + gates[t - 1 : t])
            cell, hidden = lstm_step(cell, gate_input, now)
            self.seen(f"unit_{t}", f"c_{t}", cell)
            outputs.append(self.seen(f"unit_{t}", f"h_{t}", hidden))
        return self.seen("h_concat", "h", torch.cat(outputs)), [hidden, cell]


@register("RNN")
class RNN(_Recurrent):
    """h_t = tanh(W_xh x_t + b_h + W_xh_static x_static + W_hh h_(t-1)), output o_t = tanh(W_ho h_t + b_o).

    Parameters: W_xh (D, inputs), b_h (D,), W_xh_static (D, static inputs) where there are any, W_hh (D, D),
    W_ho (D, D), b_o (D,). The state is h.
    """

    states = ("h",)

    def add_weights(self, inputs: int, static: int) -> None:
        size = self.options.num_output
        self.add_weight(size, inputs)
        self.add_bias(size)
        if static:
            self.add_weight(size, static)
        self.add_weight(size, size)
        self.add_weight(size, size)
        self.add_bias(size)

    def unroll(
        self, x: Tensor, cont: Tensor, x_static: Tensor | None, state: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        weight, bias, *static, weight_hidden, weight_output, bias_output = self.shaped_blobs()
        inputs = self.seen("x_transform", "W_xh_x", F.linear(x, weight, bias))
        if x_static is not None:
            inputs = inputs + self.seen("W_xh_x_static", "W_xh_x_static_preshape", F.linear(x_static, static[0]))
        hidden, outputs = state[0], []
        for t in range(1, len(x) + 1):
            conted = cont[t - 1 : t].unsqueeze(-1) * hidden
            conted = self.seen(f"h_conted_{t - 1}", f"h_conted_{t - 1}", conted)
            from_hidden = self.seen(f"W_hh_h_{t - 1}", f"W_hh_h_{t - 1}", F.linear(conted, weight_hidden))
            total = self.seen(f"h_input_sum_{t}", f"h_neuron_input_{t}", from_hidden + inputs[t - 1 : t])
            hidden = self.seen(f"h_neuron_{t}", f"h_{t}", total.tanh())
            from_output = self.seen(f"W_ho_h_{t}", f"W_ho_h_{t}", F.linear(hidden, weight_output, bias_output))
            outputs.append(self.seen(f"o_neuron_{t}", f"o_{t}", from_output.tanh()))
        return self.seen("o_concat", "o", torch.cat(outputs)), [hidden]
