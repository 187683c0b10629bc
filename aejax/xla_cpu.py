"""Forms that XLA:CPU computes faster than the plain ones; equal to them in value.

Measured with jaxlib 0.10.2 (and 0.12.0) on x86-64, inside a scan, as training runs.
``python -m tests.campaigns.xla_cpu`` times each against its plain form: one that has
gained nothing there with two jaxlibs in a row can go. On accelerators they cost nothing
that was ever measured, because nothing was. The fifth form, of softplus, stands in
``losses.bernoulli_nll``, for a paper to copy.
"""

import functools

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero


def row_sums(x: Array) -> Array:
    """(B, D) -> (B,): a product with ones.

    XLA:CPU's sum adds one number after the other; a product uses vector units.
    """
    ones = jnp.ones(x.shape[1], x.dtype)
    return jnp.matmul(x, ones, precision=jax.lax.Precision.HIGHEST)


def add_bias(x: Array, bias: Array) -> Array:
    """x (…, F) + bias (F,), whose gradient is a product of ones.

    XLA:CPU's sum over rows adds one number after the other, slowly, and in bfloat16 to
    errors of a fifth and more.
    """
    ones = jnp.ones((x[..., 0].size, 1), x.dtype)
    rows = jnp.matmul(ones, bias[None], precision=jax.lax.Precision.HIGHEST)
    return x + rows.reshape(x.shape)


@jax.custom_jvp
def product(x: Array, kernel: Array) -> Array:
    """(B, n) and (n, m) -> (B, m)."""
    return x @ kernel


@functools.partial(product.defjvp, symbolic_zeros=True)
def _product_jvp(primals, tangents):
    (x, kernel), (dx, dkernel) = primals, tangents
    (n, m), rows = kernel.shape, len(x)
    # Whether XLA:CPU takes longer to rearrange the kernel than x's gradient.
    of_x = _turned if n % 2 == 0 and n * m >= 2**16 and m > rows else jnp.matmul
    tangents = [] if isinstance(dx, SymbolicZero) else [of_x(dx, kernel)]
    tangents += [] if isinstance(dkernel, SymbolicZero) else [x @ dkernel]
    return product(x, kernel), sum(tangents)


def _turned(x: Array, kernel: Array) -> Array:
    """x @ kernel; its transpose is kernel @ gᵀ, turned afterwards.

    For g @ kernelᵀ XLA:CPU rearranges the kernel, on one thread: 3.0 instead of 2.0 ms
    for 3136 × 256 and 128 rows, inside the conv VAE's step on one core. It would turn
    kernel @ gᵀ into that, too, were the halves of x's columns not interleaved between.
    """
    rows, n = x.shape
    halves = x.reshape(rows, 2, n // 2).transpose(1, 2, 0)
    return (kernel.T @ halves.reshape(n, rows)).T


# A convolution inside a scan runs on a slow path, 10 times slower, and a vmapped one
# becomes a grouped one: both are patches and one matmul here.


def patches(x: Array, size: int) -> Array:
    """(B, h + size - 1, w + size - 1, C) -> (B, h, w, size²C): every neighbourhood."""
    h, w = x.shape[1] - size + 1, x.shape[2] - size + 1
    offsets = [(i, j) for i in range(size) for j in range(size)]
    return jnp.concatenate([x[:, i : i + h, j : j + w] for i, j in offsets], -1)


def pad(x: Array) -> Array:
    """One row or column of zeros on every side."""
    return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))


def patches_product(x: Array, kernel: Array) -> Array:
    """Patches (B, h, w, size²C) and their kernel (size, size, C, F) -> (B, h, w, F)."""
    # Two matrices, the kernel's (F, size²C): XLA:CPU computes the gradient of a tall
    # one three times as slowly, and rearranges arrays of more than two axes.
    flat = kernel.transpose(3, 0, 1, 2).reshape(kernel.shape[3], -1)
    out = x.reshape(-1, x.shape[-1]) @ flat.T
    return out.reshape(*x.shape[:-1], kernel.shape[3])


def conv(x: Array, kernel: Array) -> Array:
    """4×4 convolution of stride 2 and padding 1, as patches and one matmul.

    (B, H, W, C), sides even, and (4, 4, C, F) -> (B, H/2, W/2, F): equal to
    ``lax.conv_general_dilated`` with the same kernel.
    """
    b, h, w, c = x.shape
    # A patch is two pairs of rows, each of two pairs of pixels that lie side by side.
    x = pad(x).reshape(b, h // 2 + 1, 2, w // 2 + 1, 2 * c)
    offsets = [(i, r, j) for i in range(2) for r in range(2) for j in range(2)]
    pairs = [x[:, i : i + h // 2, r, j : j + w // 2] for i, r, j in offsets]
    # Stacked: XLA:CPU would not fuse the slices into a concatenation.
    x = jnp.stack(pairs, 3).reshape(b, h // 2, w // 2, 16 * c)
    return patches_product(x, kernel)


def conv_transpose(x: Array, kernel: Array) -> Array:
    """Transpose of ``conv``: 4×4, stride 2, padding 1, one matmul and a sum of patches.

    (B, h, w, F) and (4, 4, F, C) -> (B, 2h, 2w, C), with out[2i - 1 + u, 2j - 1 + v] +=
    x[i, j] @ kernel[u, v].
    """
    b, h, w, f = x.shape
    c = kernel.shape[3]
    flat = x.reshape(-1, f) @ kernel.transpose(2, 0, 1, 3).reshape(f, -1)
    pairs = jnp.split(flat.reshape(b, h, w, 16 * c), 8, -1)  # as in conv

    def row(r: int) -> Array:
        offsets = [(i, j, pairs[4 * i + 2 * r + j]) for i in range(2) for j in range(2)]
        ends = [((0, 0), (i, 1 - i), (j, 1 - j), (0, 0)) for i, j, _ in offsets]
        return sum(jnp.pad(p, e) for (*_, p), e in zip(offsets, ends, strict=True))

    # Stacking is one pass over the patches. Summed into the image, each of eight padded
    # arrays is written, and read twice: 6 instead of 1.6 of 66 ms a step (conv VAE).
    out = jnp.stack([row(0), row(1)], 2).reshape(b, 2 * h + 2, 2 * w + 2, c)
    return out[:, 1:-1, 1:-1]
