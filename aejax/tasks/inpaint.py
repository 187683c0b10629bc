"""Inpainting of hidden pixels. Yeh et al., CVPR 2017; Vincent et al., JMLR 2010.

A denoising model is given zeros for them; of others that code is looked for which
agrees with the rest. Beside them the mean, the biharmonic surface (Damelin & Hoang,
2018), and OpenCV's Telea (2004) and Navier–Stokes (Bertalmio et al., 2001).
"""

import functools
import importlib.util
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

from aejax import config, corruptions, density, panels, tasks, trained
from aejax import data as datasets
from aejax import model as model_lib

HOLES = ("patch", "rows", "pixels")
SHARE = 0.36  # 10 of MNIST's 28 pixels, 3 of the digits' 8
WEIGHTS, RADII = (0.01, 0.1, 1.0), (1, 3, 5)  # to choose from
choose = {"latent_dim": {32}, "objective": {"vae", "denoising"}}
needs = {"images"}


def sweeps(data: datasets.Dataset) -> list[tasks.Sweep]:
    values = tasks.size(data) | {"objective": "denoising", "latent_dim": 32}
    values |= {"corruption": "occlusion", "level": SHARE}
    return [tasks.zoo(data), tasks.Sweep("inpaint", values)]


def mask(hole: str, shape: Sequence[int], share: float = SHARE, seed: int = 0):
    """(N, H, W, 1) bool: which pixels of images (N, H, W, C) are known.

    Hidden is this share of both sides of a "patch", of the "rows" or of the "pixels".
    """
    n, h, w, _ = shape
    counts = {"patch": min(h, w), "rows": h, "pixels": h * w}
    if hole not in counts:
        raise config.unknown("hole", hole, counts)
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
    """decode(z) of least ‖known ⊙ (x − decode(z))‖² + weight · ‖z‖² (Yeh, eq. 2).

    Of several starts (0, the code of ``mean_fill``, draws from the Gaussian of training
    codes) the one that Adam takes lowest. x (N, *S) may be any data; known is bool and
    broadcasts to it; y (N,) are class ids for a conditional model. ``weight`` of a vae
    is the variance of a pixel's noise. Raises InputError for codes of several vectors.
    """
    known = np.broadcast_to(known, np.shape(x))
    batch = model.batch(mean_fill(x, known), y)
    code = model.encode(batch.x, y)
    if isinstance(code, tuple):
        name = model.config.objective
        raise config.InputError(f"a code of {name} is several vectors; take a vae")
    n, k = code.shape
    draw = density.fit(model.training_codes(2000)[0])
    z = draw(jax.random.key(seed), n * starts).reshape(starts, n, k)
    z = np.stack([np.zeros_like(code), code, *z][:starts], 1)
    z = np.pad(z, ((0, 0), (0, 0), (0, model.model.latent_mask.shape[1] - k)))
    numbers = np.float32(weight), np.int32(steps), np.float32(rate)
    run = functools.partial(_lowest, model, model.params, numbers)
    most = max(1, 256 // starts)
    return trained.in_batches(run, batch, np.float32(known), z, most=most)


@functools.partial(jax.jit, static_argnums=0)
def _lowest(one, params, numbers, batch, known, z):
    """Of starts z (B, starts, Z), each optimised, what the lowest means (B, *S)."""
    (weight, steps, rate), (size, starts, width) = numbers, z.shape
    batch, known = jax.tree.map(lambda a: jnp.repeat(a, starts, 0), (batch, known))

    def decoded(z):
        with model_lib.matmul_precision(one.config.precision):
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


def mean_fill(x, known, y=None) -> np.ndarray:
    """x (N, *S) with the mean of what is known of each example for the rest."""
    known, axes = np.broadcast_to(known, x.shape), tuple(range(1, x.ndim))
    return np.where(known, x, x.mean(axes, keepdims=True, where=known))


def biharmonic(x, known, y=None) -> np.ndarray:
    """Images with Δ²x = 0 in their holes (scikit-image)."""
    from skimage import restoration

    pairs = zip(np.where(known, x, 0), ~known[..., 0], strict=True)
    fill = functools.partial(restoration.inpaint_biharmonic, channel_axis=-1)
    return np.stack([fill(*pair) for pair in pairs]).clip(0, 1)


def opencv(method: str, radius: int, x, known, y=None) -> np.ndarray:
    """OpenCV's "TELEA" or "NS" with 8 bits, channel by channel."""
    import cv2

    grey = np.uint8(np.round(255 * np.where(known, x, 0).clip(0, 1)))
    flag, out = getattr(cv2, f"INPAINT_{method}"), np.zeros(x.shape, np.float32)
    for i, c in np.ndindex(len(x), x.shape[3]):
        hole = np.uint8(~known[i, :, :, 0])
        out[i, :, :, c] = cv2.inpaint(grey[i, :, :, c], hole, radius, flag) / 255
    return out


def _systems(models) -> dict[str, dict[str, Callable]]:
    """{system: {what is chosen: (x, known, y) -> x_hat}}."""
    part = functools.partial
    every = {"mean": {"": mean_fill}, "biharmonic": {"": biharmonic}}
    if importlib.util.find_spec("cv2"):
        for name, method in (("Telea", "TELEA"), ("Navier–Stokes", "NS")):
            every[name] = {f"radius={r}": part(opencv, method, r) for r in RADII}
    for model, told in zip(models, tasks.names(models), strict=True):
        name, _, told = told.partition(" ")
        if name == "denoising":
            every.setdefault("denoising forward", {})[told] = part(forward, model)
        else:
            fills = every.setdefault(f"{name} energy", {})
            for w in WEIGHTS:
                fills[f"{told} weight={w:g}".strip()] = part(energy, model, weight=w)
    return every


def hidden_psnr(x, x_hat, known) -> float:
    """PSNR [dB] of all pixels of images in [0, 1] that are not known, as one."""
    hidden = ~np.broadcast_to(known, x.shape)
    return float(tasks.psnr(x[hidden][None], x_hat[hidden][None])[0])


def apply(
    models: Sequence[trained.Trained],
    data: datasets.Dataset,
    *,
    holes: tuple = HOLES,
    share: float = SHARE,
    most: int = 200,
) -> tasks.Result:
    """PSNR of hidden pixels of test images, by hole and system.

    Args:
      models: of images; of those of one objective the best on valid is taken.
      data: what they are tested on.
      holes: of HOLES.
      share: how much is hidden, see ``mask``.
      most: test images, at most.
    """
    test, valid = tasks.held_out(data, "test", most), tasks.held_out(data, "valid", 64)
    at, metrics, shown = tasks.examples(test, 8), [], []
    systems = _systems(models)
    for hole in holes:
        known = mask(hole, test.x.shape, share)
        tried = mask(hole, valid.x.shape, share, seed=1)
        grey = np.where(known, test.x, 0.5)
        rows = [("clean", "PSNR", test.x[at]), ("hidden", "", grey[at])]
        for name, fills in systems.items():
            score = {
                told: hidden_psnr(valid.x, fill(valid.x, tried, valid.y), tried)
                for told, fill in fills.items()
            }
            best = max(score, key=score.get)
            x_hat = np.where(known, test.x, fills[best](test.x, known, test.y))
            psnr = hidden_psnr(test.x, x_hat, known)
            row = {"hole": hole, "system": name, "chosen": best, "psnr [dB]": psnr}
            metrics.append(row)
            rows.append((name, f"{psnr:.1f} dB", x_hat[at]))
        what = "each side" if hole == "patch" else hole
        shown.append(panels.Images(f"{hole}: {share:.0%} of {what} hidden", rows))
    grid = np.reshape([row["psnr [dB]"] for row in metrics], (len(holes), -1)).T
    title = "PSNR of hidden pixels [dB]"
    shown.append(panels.Grid(title, grid, list(systems), list(holes)))
    text = (
        f"{len(test.x)} test images of {data.name}, holes of a fixed seed. PSNR is of "
        "the mean squared error of all hidden pixels; known pixels are kept. What was "
        "chosen (model, weight of ‖z‖², radius) had the highest PSNR on "
        f"{len(valid.x)} validation images."
    )
    if "Telea" not in systems:
        text += ' Telea and Navier–Stokes need: pip install "aejax[opencv]".'
    return tasks.Result(metrics, shown, text)
