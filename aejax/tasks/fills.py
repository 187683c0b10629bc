"""What fills holes: the code that agrees with what is known; surfaces; OpenCV."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

from aejax import autoencoder, config, corruptions, settings, tasks
from aejax import data as datasets
from aejax import model as model_lib
from aejax.evaluate import ex_post

HOLES = ("patch", "rows", "pixels")
SHARE = 0.36  # 10 of MNIST's 28 pixels, 3 of the digits' 8


def mask(hole: str, shape: Sequence[int], share: float = SHARE, seed: int = 0):
    """(N, H, W, 1) bool: which pixels of images (N, H, W, C) are known.

    Hidden is this share of both sides of a "patch", of the "rows" or of the "pixels".
    """
    n, h, w, _ = shape
    counts = dict(zip(HOLES, (min(h, w), h, h * w), strict=True))
    if hole not in HOLES:
        raise config.unknown("hole", hole, HOLES)
    if not 0 < (count := round(share * counts[hole])) < counts[hole]:
        raise config.InputError(f"share={share:g} hides all or nothing of {h}×{w}")
    if hole == "patch":
        key, ones = jax.random.key(seed), jnp.ones((n, h, w, 1))
        return np.asarray(corruptions.occlusion(key, ones, share)) > 0
    order = np.random.default_rng(seed).random((n, counts[hole])).argsort(1)
    return np.broadcast_to(order.reshape(n, h, -1, 1) >= count, (n, h, w, 1))


def energy(
    model, x, known, y=None, *, weight=0.1, starts=4, steps=100, rate=0.1, seed=0
) -> np.ndarray:
    """decode(z) of least ‖known ⊙ (x − decode(z))‖² + weight · ‖z‖², (N, *S).

    Yeh et al., CVPR 2017, eq. 2, with a Gaussian prior. Adam starts from 0, from the
    code of x filled with its mean and from draws of the Gaussian of training codes; of
    each example the lowest counts.

    Args:
      model: a Trained, of codes (N, k).
      x: (N, *S) in data units, any data; where it is not known it is not looked at.
      known: bool, broadcasts to x.
      y: (N,) class ids, for a conditional model.
      weight: of a vae, the variance of a pixel's noise makes z the most probable one.

    Raises:
      InputError: the code is several vectors, or a shape does not fit.
    """
    known = np.broadcast_to(known, np.shape(x))
    batch = model.batch(mean(x, known), y)
    code = tasks.codes(model, datasets.Split(batch.x, y))
    n, k = code.shape
    draw = ex_post.fit(model.training_codes(2000)[0])
    z = draw(jax.random.key(seed), n * starts).reshape(starts, n, k)
    z = np.stack([np.zeros_like(code), code, *z][:starts], 1)
    z = np.pad(z, ((0, 0), (0, 0), (0, model.model.latent_mask.shape[1] - k)))
    numbers = np.float32(weight), np.int32(steps), np.float32(rate)
    run = functools.partial(_lowest, model, model.params, numbers)
    limit = max(1, 256 // starts)  # 256 decoded at once: memory of a small batch
    return autoencoder.in_batches(run, batch, np.float32(known), z, limit=limit)


@functools.partial(jax.jit, static_argnums=0)
def _lowest(one, params, numbers, batch, known, z):
    """Of starts z (B, starts, Z), each optimised, what the lowest means (B, *S)."""
    (weight, steps, rate), (size, starts, width) = numbers, z.shape
    batch, known = jax.tree.map(lambda a: jnp.repeat(a, starts, 0), (batch, known))

    def decoded(z):
        with settings.matmul_precision(one.config.precision):
            natural = one.model.decode(params, z, model_lib.Batch(None, batch.y))
        return one.model.likelihood.mean(natural)

    def energies(z):
        wrong = jnp.square(known * (batch.x - decoded(z))).reshape(len(z), -1)
        return wrong.sum(1) + weight * jnp.square(z).sum(1)

    def step(_, carry):
        slope = jax.grad(lambda z: energies(z).sum())(carry[0])  # each only of its z
        change, state = adam.update(slope, carry[1])
        return carry[0] + change * one.model.latent_mask, state

    adam, z = optax.adam(rate), z.reshape(-1, width)
    z, _ = jax.lax.fori_loop(0, steps, step, (z, adam.init(z)))
    best = energies(z).reshape(size, starts).argmin(1)
    return decoded(z)[best + starts * jnp.arange(size)]


def forward(model, x, known, y=None) -> np.ndarray:
    """The model's output (N, *S) for x with zeros where it is not known."""
    return model.reconstruct(np.where(known, x, 0), y)


def mean(x, known) -> np.ndarray:
    """x (N, *S) with the mean of what is known of each example for the rest."""
    known, axes = np.broadcast_to(known, x.shape), tuple(range(1, x.ndim))
    return np.where(known, x, x.mean(axes, keepdims=True, where=known))


def membrane(x, known) -> np.ndarray:
    """Images with Δx = 0 in their holes: a skin over the edge, 1,000 Jacobi steps."""
    return autoencoder.in_batches(_relaxed, mean(x, known), known)


@jax.jit
def _relaxed(x, known):
    def step(_, u):
        p = jnp.pad(u, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
        beside = p[:, 2:, 1:-1] + p[:, :-2, 1:-1] + p[:, 1:-1, 2:] + p[:, 1:-1, :-2]
        return jnp.where(known, x, beside / 4)

    return jax.lax.fori_loop(0, 1000, step, x)


def biharmonic(x, known) -> np.ndarray:
    """Images with Δ²x = 0 in their holes. Damelin & Hoang, 2018 (scikit-image)."""
    from skimage import restoration

    fill = functools.partial(restoration.inpaint_biharmonic, channel_axis=-1)
    pairs = zip(np.where(known, x, 0), ~known[..., 0], strict=True)
    return np.stack([fill(*pair) for pair in pairs])


def opencv(method: str, radius: int, x, known, limits=(0.0, 1.0)) -> np.ndarray:
    """OpenCV's "TELEA" or "NS" of images in ``limits``: 8 bits, channel by channel."""
    import cv2

    low, high = limits
    unit = (np.where(known, x, low) - low) / (high - low)
    grey = np.uint8(np.round(255 * unit.clip(0, 1)))
    flag, out = getattr(cv2, f"INPAINT_{method}"), np.zeros(x.shape, np.float32)
    for i, c in np.ndindex(len(x), x.shape[3]):
        hole = np.uint8(~known[i, :, :, 0])
        out[i, :, :, c] = cv2.inpaint(grey[i, :, :, c], hole, radius, flag) / 255
    return np.float32(low) + np.float32(high - low) * out


def blended(surface: Callable, x_hat, x, known) -> np.ndarray:
    """x_hat, in holes moved by a surface through its errors at their edges; x guard.

    With ``membrane`` it is Poisson blending (Pérez et al., 2003; Yeh et al., eq. 6).
    """
    return x_hat + surface(x - x_hat, known)
