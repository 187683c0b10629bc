"""z = W x + b and x̂ = Wᵀ z + c with one W; ``hidden`` is not used.

With squared error the rows of the optimal W are an orthonormal basis of PCA's subspace:
Baldi & Hornik, Neural Networks 1989. W is drawn as an encoder's kernel: with LeCun's
fan-in D its k rows have length 1 and are nearly orthogonal, so that Wᵀ W starts near a
projection. The decoder reads the encoder's ``latent_kernel``: it has none of its own.
What is missing is 0 to it.
"""

import jax.numpy as jnp
from jax import Array

from aejax import networks
from aejax.networks import latent

reads_missing = True


def check(spec: networks.NetworkSpec) -> str | None:
    """Why there is no such network, or None."""
    if spec.num_classes:
        return "tied weights have no place for labels; use --network linear"
    if spec.inputs > 1 or spec.outputs > 1:
        return (
            "the decoder is the transpose of the encoder, so it takes one code and "
            f"gives one number per data element, not {spec.inputs} and {spec.outputs}; "
            "use --network linear"
        )
    return None


def build(spec: networks.NetworkSpec) -> networks.Network:
    """The pure functions; with several heads the first one's kernel is tied."""
    code = latent.LatentOut(spec, spec.heads)

    def flat(x: Array) -> Array:
        x = jnp.where(jnp.isnan(x), 0.0, x) if spec.missing else x
        return x.reshape(x.shape[0], -1)

    def encode(params, x: Array, mask: Array):
        return code.apply({"params": params["code"]}, flat(x), mask)

    def decode(params, z: Array, mask: Array) -> Array:
        kernel = params["code"]["latent_kernel"][:, 0].astype(spec.dtype)  # (Z, D)
        x = (z * mask).astype(spec.dtype) @ kernel
        return x.astype(jnp.float32).reshape(-1, *spec.shape, 1)

    return networks.Network(
        init=lambda key, batch, mask: {
            "code": code.init(key, flat(batch.x), mask)["params"]
        },
        encode=lambda params, batch, mask: encode(params, batch.x, mask),
        decode=lambda params, z, batch, mask: decode(params, z, mask),
        bias_shape=(*spec.shape, 1),
        stages=((encode, decode),),
        decoder=lambda params: {"latent_kernel": params["code"]["latent_kernel"][:, 0]},
    )
