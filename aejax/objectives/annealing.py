"""How much a KL divergence counts: warm-up, cycles, free bits, beta; pure functions.

An objective takes them by its ``kl_control`` (see ``objectives``), and adds
``model.kl(kl)`` to its loss; they are then hyperparameters of it like its own.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, ScalarLike


def schedule(
    step: ScalarLike, steps: int, kl_warmup: ScalarLike, kl_cycles: ScalarLike = 1
) -> Float[Array, ""]:
    """The KL's weight at a step, from above 0 to 1, and 1 at and after the last one.

    In each of ``kl_cycles`` equal cycles it rises linearly over the share ``kl_warmup``
    of the cycle and stays at 1 (Fu et al., NAACL 2019, eqs. 6-7, whose R and M they
    are). One cycle is the usual warm-up (Bowman et al., 2016; Sønderby et al., 2016).
    """
    done = (step + 1) / max(steps, 1) * kl_cycles  # in cycles
    inside = done - jnp.ceil(done) + 1.0  # in (0, 1], 1 at a cycle's end
    weight = jnp.minimum(1.0, inside / jnp.maximum(kl_warmup, 1e-9))
    return jnp.where(step + 1 >= steps, 1.0, weight)  # whatever the rounding


class Control(NamedTuple):
    """What ``model.kl`` is: a KL's weight at the model's step, and its free nats.

    Attributes:
      mask: 1 for dimensions in use.
      weight: of the KL, beta included.
      free_bits: nats per latent dimension below which a KL is not reduced.
    """

    mask: Float[Array, "1 Z"]
    weight: ScalarLike = 1.0
    free_bits: ScalarLike = 0.0

    def at_step(
        self,
        step: ScalarLike,
        steps: int,
        *,
        beta: ScalarLike = 1.0,
        kl_warmup: ScalarLike = 0.0,
        kl_cycles: ScalarLike = 1,
        free_bits: ScalarLike = 0.0,
    ) -> "Control":
        """The Control of these hyperparameters at a step of so many.

        From ``steps`` on, where models are evaluated, there are no free bits: they are
        of batch means, and a loss would depend on the batches.
        """
        weight = beta * schedule(step, steps, kl_warmup, kl_cycles)
        return Control(self.mask, weight, jnp.where(step < steps, free_bits, 0.0))

    def nats(self, kl: Float[Array, "B Z"] | Float[Array, " B"]) -> Float[Array, ""]:
        """Mean over the batch of (B, Z) or (B,) nats, free ones counted in full.

        Σ_j max(free_bits, mean_B kl_j): Kingma et al., NeurIPS 2016 (IAF), eq. 15. Of a
        KL that is known as a whole only, (B,), the whole: max(k · free_bits, mean kl).
        """
        mean = kl.mean(0)
        used = self.mask[0] if kl.ndim == 2 else self.mask.sum()
        # An estimate of a KL may be negative: without free bits it stays as it is.
        free = jnp.where(self.free_bits > 0, self.free_bits * used, -jnp.inf)
        return jnp.maximum(mean, free).sum()

    def __call__(
        self, kl: Float[Array, "B Z"] | Float[Array, " B"]
    ) -> Float[Array, ""]:
        """The scalar that a loss adds: weight · nats."""
        return self.weight * self.nats(kl)
