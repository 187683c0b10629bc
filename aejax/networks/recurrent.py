"""Sequence-to-sequence autoencoder over (T, F): GRU or LSTM encoder and decoder.

Srivastava et al., ICML 2015; Malhotra et al. 2016 (EncDec-AD). ``hidden`` holds the
widths of the stacked layers; the decoder mirrors them. The code reads the last layer's
state after the last valid step. As in Cho et al., EMNLP 2014, it gives the decoder its
first state and an input to the gates at every step; with ``teacher_forcing`` the step
before is another: of x where the batch has it, else of the decoder's own mean (or, for
categorical data, its most likely level).

With ``segments`` the decoder is the hierarchical one of MusicVAE (Roberts et al., ICML
2018): a conductor, a layer that z alone drives, takes one step per segment, and its
state gives the layers above theirs at the segment's start and an input at its every
step. Nothing else passes from segment to segment, so that all are decoded at once.
"""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from aejax import networks
from aejax.networks import dense, latent


class Cell(NamedTuple):
    """One step: (state, input (B, G·H), recurrent (B, G·H), bias) -> state, h first."""

    gates: int
    states: int
    step: Callable


def _gru(state: tuple, x: Array, hidden: Array, bias: Array) -> tuple:
    """Cho et al. 2014: h' = (1 - u) n + u h."""
    (h,) = state
    (r, u, n), (hr, hu, hn) = jnp.split(x, 3, -1), jnp.split(hidden, 3, -1)
    u = nn.sigmoid(u + hu)
    n = jnp.tanh(n + nn.sigmoid(r + hr) * (hn + bias[None]))
    return ((1 - u) * n + u * h,)


def _lstm(state: tuple, x: Array, hidden: Array, bias: Array) -> tuple:
    """Hochreiter & Schmidhuber 1997, with a forget gate: h' = o tanh(f c + i g)."""
    i, f, g, o = jnp.split(x + hidden, 4, -1)
    c = nn.sigmoid(f) * state[1] + nn.sigmoid(i) * jnp.tanh(g)
    return nn.sigmoid(o) * jnp.tanh(c), c


CELLS = {"gru": Cell(3, 1, _gru), "lstm": Cell(4, 2, _lstm)}


def draw(
    key: Array, spec: networks.NetworkSpec, cell: Cell, inputs: int, width: int
) -> dict:
    """A layer's weights: the gates' kernels side by side, recurrent ones orthogonal.

    The bias is (4H,): one of every gate and, for the GRU, one inside the reset gate.
    """
    key, *keys = jax.random.split(key, cell.gates + 1)
    squares = [nn.initializers.orthogonal()(k, (width, width)) for k in keys]
    # An LSTM starts by remembering: Jozefowicz et al., ICML 2015.
    forget = float(cell.states == 2)
    bias = jnp.zeros((4, width)).at[1].set(forget).reshape(-1)
    out = {"recurrent": jnp.concatenate(squares, -1), "bias": bias}
    if inputs:
        shape = (inputs, cell.gates * width)
        out["kernel"] = latent.latent_kernel(key, shape, spec.init, inputs, width)
    return out


def product(x: Array, kernel: Array) -> Array:
    return (x.astype(kernel.dtype) @ kernel).astype(jnp.float32)


def project(weights: dict, x: Array) -> Array:
    """Input (…, G·H) of the gates from x (…, inputs): one matmul for all steps."""
    out = product(x, weights["kernel"])
    bias = weights["bias"][: out.shape[-1]]
    return out + bias.reshape((1,) * (out.ndim - 1) + (-1,))


def advance(cell: Cell, weights: dict, state: tuple, gates: Array) -> tuple:
    """One step: the new state, from the projected input (B, G·H)."""
    hidden = product(state[0], weights["recurrent"])
    return cell.step(state, gates, hidden, weights["bias"][gates.shape[-1] :])


def scan(cell: Cell, weights: dict, gates: Array, state: tuple, valid=None, back=False):
    """(last state, h of all steps (T, B, H)) from projected inputs (T, B, G·H).

    Where ``valid`` (T, B, 1) is False the state stays; ``back`` runs backwards.
    """

    def step(state, inputs):
        gates, valid = inputs
        new = advance(cell, weights, state, gates)
        if valid is not None:
            new = jax.tree.map(lambda a, b: jnp.where(valid, a, b), new, state)
        return new, new[0]

    return jax.lax.scan(step, state, (gates, valid), reverse=back)


class RecurrentNet(nn.Module):
    """Time comes first inside: arrays are (T, B, …)."""

    spec: networks.NetworkSpec
    cell: Cell
    bidirectional: bool
    teacher_forcing: bool
    segments: int

    def setup(self):
        spec, cell = self.spec, self.cell
        sides, width = 1 + self.bidirectional, spec.shape[1] * spec.outputs

        def cast(weights):
            return jax.tree.map(
                lambda a: a.astype(spec.dtype) if a.ndim > 1 else a, weights
            )

        def layers(name: str, sizes: tuple[int, ...], inputs: tuple[int, ...]):
            return [
                cast(self.param(f"{name}_{i}", draw, spec, cell, d, h))
                for i, (d, h) in enumerate(zip(inputs, sizes, strict=True))
            ]

        def enter(features: int, use_bias: bool):
            return latent.LatentIn(spec, features, spec.inputs, use_bias)

        widths = (width + spec.condition, *(sides * h for h in spec.hidden[:-1]))
        names = ("encoder", "encoder_back")[:sides]
        self.sides = [layers(name, spec.hidden, widths) for name in names]
        self.code = latent.LatentOut(spec, spec.heads)
        back = spec.hidden[::-1]
        starts = back[:1] if self.segments else back
        self.decode_state = [enter(cell.states * h, True) for h in starts]
        self.decode_input = enter(cell.gates * back[0], False)
        inputs = (width * self.teacher_forcing, *back[:-1])
        self.decoder = layers("decoder", back, inputs)
        shape = (back[-1], width)
        init = latent.kernel_init(spec.init)
        self.decode_output = cast(self.param("decode_output", init, shape))
        if self.segments:
            (self.conductor,) = layers("decode_conductor", back[:1], (0,))
            self.decode_segment_state = [
                dense.layer(spec, cell.states * h) for h in back
            ]
            self.decode_segment_input = dense.layer(spec, cell.gates * back[0], False)
        self.condition = dense.Condition(spec)
        self.decode_condition = dense.Condition(spec)
        if spec.num_classes:
            self.decode_label = dense.layer(spec, cell.gates * back[0], False)

    def encode(self, batch, mask: Array):
        x = dense.levels(self.spec, batch.x).swapaxes(0, 1)
        steps, size = x.shape[:2]
        y = self.condition(batch, size)
        if y is not None:
            y = jnp.broadcast_to(y[None], (steps, *y.shape)).astype(x.dtype)
            x = jnp.concatenate([x, y], -1)
        valid = None
        if batch.length is not None:
            valid = (jnp.arange(steps)[:, None] < batch.length[None])[..., None]
        for layer in zip(*self.sides, strict=True):
            ends = []
            for weights, reverse in zip(layer, (False, True), strict=False):
                h = jnp.zeros((size, weights["recurrent"].shape[0]))
                state = (h,) * self.cell.states
                gates = project(weights, x)
                ends.append(scan(self.cell, weights, gates, state, valid, reverse))
            x = jnp.concatenate([h for _, h in ends], -1)
        return self.code(jnp.concatenate([state[0] for state, _ in ends], -1), mask)

    def decode(self, z, batch, mask: Array):
        context = self.decode_input(z, mask)
        y = self.decode_condition(batch, context.shape[0])
        context = context if y is None else context + self.decode_label(y)
        states = [self.start(enter(z, mask)) for enter in self.decode_state]
        context = context.astype(jnp.float32)
        if self.segments:
            bias = self.conductor["bias"][None, : context.shape[1]]
            gates = jnp.broadcast_to(context + bias, (self.segments, *context.shape))
            _, h = scan(self.cell, self.conductor, gates, states[0])
            h = h.reshape(-1, h.shape[-1])  # a segment is a further example: (U·B, H)
            states = [self.start(enter(h)) for enter in self.decode_segment_state]
            context = self.decode_segment_input(h).astype(jnp.float32)
        if not self.teacher_forcing:
            bias = self.decoder[0]["bias"][None, : context.shape[1]]
            gates = jnp.broadcast_to(context + bias, (self.steps, *context.shape))
        elif batch is None or batch.x is None:
            return self.free(context, states)
        else:
            x = dense.levels(self.spec, batch.x)
            x = x.reshape(x.shape[0], -1, self.steps, x.shape[-1])  # (B, U, T/U, …)
            x = x.transpose(2, 1, 0, 3).reshape(self.steps, -1, x.shape[-1])
            before = jnp.concatenate([jnp.zeros_like(x[:1]), x[:-1]])
            gates = context[None] + project(self.decoder[0], before)
        _, h = scan(self.cell, self.decoder[0], gates, states[0])
        for weights, state in zip(self.decoder[1:], states[1:], strict=True):
            _, h = scan(self.cell, weights, project(weights, h), state)
        return self.shaped(product(h, self.decode_output))

    @property
    def steps(self) -> int:
        """Of one segment: all of them, if there are none."""
        return self.spec.shape[0] // max(self.segments, 1)

    def start(self, h: Array) -> tuple:
        """A layer's first state."""
        return tuple(jnp.split(jnp.tanh(h).astype(jnp.float32), self.cell.states, -1))

    def free(self, context: Array, states: list) -> Array:
        """Decodes step by step; each reads the mean, or level, of the one before."""
        spec = self.spec
        bias = self.get_variable("params", "output_bias")

        def step(carry, _):
            states, before = carry
            h, new = before, []
            for i, weights in enumerate(self.decoder):
                gates = project(weights, h)
                gates = gates if i else gates + context
                new.append(advance(self.cell, weights, states[i], gates))
                h = new[-1][0]
            out = product(h, self.decode_output)
            each = out.reshape(-1, *spec.shape[1:], spec.outputs) + bias
            if spec.outputs > 1:
                each = jax.nn.one_hot(each.argmax(-1), spec.outputs)
            else:
                each = spec.mean(each)
            return (new, each.reshape(out.shape)), out

        first = jnp.zeros((context.shape[0], self.decode_output.shape[1]))
        return self.shaped(jax.lax.scan(step, (states, first), length=self.steps)[1])

    def shaped(self, out: Array) -> Array:
        """(T/U, U·B, F·outputs) -> (B, T, F, outputs), where U is 1 or ``segments``."""
        steps, spec = self.steps, self.spec
        out = out.reshape(steps, spec.shape[0] // steps, -1, out.shape[-1])
        return out.transpose(2, 1, 0, 3).reshape(-1, *spec.shape, spec.outputs)


needs = frozenset({"sequence"})


def check(
    spec: networks.NetworkSpec, *, cell: str = "gru", segments: int = 0, **options
) -> str | None:
    """Why there is no such network, or None."""
    if cell not in CELLS:
        return f"cell '{cell}' is unknown; known: {', '.join(CELLS)}"
    if not spec.hidden:
        return "recurrent needs the width of at least one layer, e.g. --hidden 64"
    if segments < 0 or spec.shape[0] % max(segments, 1):
        return f"segments={segments} do not divide sequences of {spec.shape[0]} steps"
    return None


def build(
    spec: networks.NetworkSpec,
    *,
    cell: str = "gru",
    bidirectional: bool = False,
    teacher_forcing: bool = False,
    segments: int = 0,
) -> networks.Network:
    """The pure functions of a RecurrentNet of this spec.

    Args:
      spec: of the network.
      cell: gru or lstm.
      bidirectional: a second encoder goes from the last valid step to the first.
      teacher_forcing: the decoder also reads the step before, see above.
      segments: of equal length, each decoded from a state of its own; 0 is none.
    """
    module = RecurrentNet(spec, CELLS[cell], bidirectional, teacher_forcing, segments)
    return dense.functions(module, (1, spec.shape[1], spec.outputs))
