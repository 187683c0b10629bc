"""Super-resolution by a denoising autoencoder. Vincent et al., JMLR 2010.

A model trained on area averages restores what they lost. Beside it its input, each
pixel repeated, and bicubic interpolation; both also back-projected (Irani & Peleg,
1991), so that their own averages are the image they were made from.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import numpy as np

from aejax import config, tasks
from aejax import data as datasets
from aejax.tasks import compare, denoise

FACTORS = (2, 4)
all_models = True  # models of several factors are members of one program
needs = {"images"}


def sweeps(data: datasets.Dataset) -> list[tasks.Sweep]:
    """A model of each factor."""
    # What is seen is to be kept: a wide code. Of few images too much is soon learned.
    values = tasks.size(data) | {"objective": "denoising", "corruption": "downsample"}
    values |= {"latent_dim": min(128, data.train.x[0].size // 2), "select": "best"}
    values["eval_every"] = max(1, values["epochs"] // 10)
    return [tasks.Sweep("super_resolution", values, {"level": suitable(data)})]


def suitable(data: datasets.Dataset, factors: Sequence[int] = ()) -> tuple[int, ...]:
    """The factors given, or those of FACTORS that leave 4 × 4 pixels.

    Raises:
      InputError: a factor does not divide both sides, or none is left.
    """
    sides = data.train.x.shape[1:3]
    fit = [f for f in FACTORS if all(s % f == 0 and s // f >= 4 for s in sides)]
    wanted = tuple(factors or fit)
    if not wanted or any(f < 2 or s % f for f in wanted for s in sides):
        raise config.InputError(
            f"images of {sides[0]}×{sides[1]} do not come in blocks of {wanted or 2}; "
            "a factor must be a whole number from 2 that divides both sides"
        )
    return wanted


def low_resolution(x: np.ndarray, factor: int) -> np.ndarray:
    """Images (N, H, W, C) -> (N, H / factor, W / factor, C): means of blocks."""
    n, h, w, c = x.shape
    blocks = x.reshape(n, h // factor, factor, w // factor, factor, c)
    return blocks.mean((2, 4), dtype=np.float32)


def enlarged(low: np.ndarray, factor: int, method: str = "cubic") -> np.ndarray:
    """``jax.image.resize`` by a factor: "cubic", or "nearest", which models take."""
    n, h, w, c = low.shape
    shape = n, factor * h, factor * w, c
    return np.asarray(jax.image.resize(low, shape, method))


def back_projected(x_hat: np.ndarray, low: np.ndarray, rounds: int = 3) -> np.ndarray:
    """x_hat + up(low - down(x_hat)), again and again: what is known is kept.

    Irani & Peleg, CVGIP 1991, eq. 2; up is bicubic, down the mean of blocks.
    """
    factor = x_hat.shape[1] // low.shape[1]
    for _ in range(rounds):
        x_hat = x_hat + enlarged(low - low_resolution(x_hat, factor), factor)
    return x_hat


def systems(models: tasks.Models, factor: int) -> dict[str, Callable]:
    """{name: (low (N, h, w, C), y) -> (N, H, W, C)}; "+ bp" is back-projected.

    Of models trained on averages, those of the nearest factor; other models for all.
    """
    repeated = functools.partial(enlarged, factor=factor, method="nearest")
    direct: dict[str, Callable] = {"bicubic": lambda low, y: enlarged(low, factor)}
    fit = denoise.fitting(models, "downsample", factor)
    for name, model in tasks.named(fit).items():
        direct[name] = lambda low, y, m=model: m.reconstruct(repeated(low), y)
    enlarge: dict[str, Callable] = {"nearest": lambda low, y: repeated(low)}
    for name, f in direct.items():
        enlarge[name] = f
        enlarge[f"{name} + bp"] = lambda low, y, f=f: back_projected(f(low, y), low)
    return enlarge


def apply(
    models: tasks.Models,
    data: datasets.Dataset,
    *,
    factors: tuple = (),
    limit: int = 1000,
) -> tasks.Result:
    """PSNR and SSIM of enlarged test images, by factor and system.

    Args:
      models: of images; see ``systems``.
      factors: whole numbers that divide the sides; without them 2 and 4, if they do.
    """
    test, limits = tasks.held_out(data, "test", limit), datasets.limits(data)
    peak, picks = datasets.peak(data), tasks.examples(test, 6)
    factors = suitable(data, factors)
    small = {f: low_resolution(test.x, f) for f in factors}
    compared = compare.compare(
        (
            compare.Condition({"factor": f}, systems(models, f), (low, test.y))
            for f, low in small.items()
        ),
        lambda x_hat: compare.quality(test.x, x_hat.clip(*limits), peak),
        picks,
    )
    clean, pictures = [("clean", "PSNR", test.x[picks])], []
    for f, low in small.items():
        title = f"×{f}, from {'×'.join(map(str, low.shape[1:3]))}"
        results = compare.where(compared, {"factor": f})
        pictures.append(compare.images(title, clean, results))
    columns = [f"×{f}" for f in factors]
    grid = compare.grid("PSNR [dB]", compared, compare.PSNR, columns)
    text = (
        f"{len(test.x)} test images of {data.name}; PSNR and SSIM are means over "
        "images. Parameters are the best on valid. + bp: three rounds of "
        "back-projection, of ours and of the baseline alike."
    )
    return tasks.Result(compare.rows(compared), [*pictures, grid], text)
