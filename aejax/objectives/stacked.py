"""Stacked autoencoder. Bengio et al., NeurIPS 2007; with noise, Vincent et al., 2010.

Greedy: layer i learns to reconstruct the codes of the trained layers below, one after
the other over the share ``pretrain`` of training; then the whole is fine-tuned on
-log p(x|z). ``noise`` sets that share of a layer's inputs to 0 (stacked denoising).
In each phase the other layers have no gradient and stay as they are, and the
optimiser's moments start anew. The loss is the phase's own; evaluated, it is always the
last one's, of the whole.
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Scalar

from aejax import corruptions, losses

heads = 1
prior = None
needs = {"stages"}
ranges = {"pretrain": (0.0, 1.0), "noise": (0.0, 1.0)}


def _phase(model, step, pretrain):
    """The stage in training at this step; len(stages) when the whole is."""
    count = len(model.stages)
    ends = jnp.arange(1, count + 1) * pretrain * model.clock.steps / count
    return (step >= jnp.round(ends)).sum()


def loss(
    model, params, batch, key, *, pretrain=0.5, noise=0.0
) -> tuple[Scalar, dict[str, Scalar]]:
    def whole():
        z = model.encode(params, batch)
        return model.likelihood.nll(batch, model.decode(params, z, batch)).mean()

    def layer(i):
        def reconstruct():
            h = batch.x
            for encode, _ in model.stages[:i]:
                h = encode(params, h)
            h = jax.lax.stop_gradient(h)
            encode, decode = model.stages[i]
            out = decode(params, encode(params, corruptions.masking(key, h, noise)))
            if i == 0:
                return model.likelihood.nll(batch, out).mean()
            return 0.5 * losses.squared_error(h, out).mean()

        return reconstruct

    phase = _phase(model, model.clock.step, pretrain)
    branches = [layer(i) for i in range(len(model.stages))] + [whole]
    return jax.lax.switch(phase, branches), {"nll": whole()}


def optimizer(tx, model, *, learning_rate, pretrain, **hp):
    step = model.clock.step
    new = _phase(model, step, pretrain) != _phase(model, step - 1, pretrain)

    def update(grads, state, params):
        fresh = tx.init(params)
        state = jax.tree.map(lambda a, b: jnp.where(new, a, b), fresh, state)
        updates, state = tx.update(grads, state, params)

        # Weight decay would move layers that are not in training.
        def moved(g, u):
            return jnp.where((g != 0).any(), u, 0.0)

        return jax.tree.map(moved, grads, updates), state

    return optax.GradientTransformation(tx.init, update)
