"""Denoising of images. Vincent et al., JMLR 2010.

A model reconstructs from the noisy image. Beside it the noisy image itself, a median
filter and total variation (Chambolle, 2004), their one number chosen on valid.
"""

import functools
from collections.abc import Callable

import jax
import numpy as np

from aejax import autoencoder, tasks
from aejax import corruptions as kinds
from aejax import data as datasets
from aejax.tasks import compare

all_models = True  # models of several levels are members of one program
CORRUPTIONS = ("gaussian", "masking", "salt_and_pepper")
LEVELS = (0.1, 0.25, 0.5)
VALID = 100  # examples to choose on: there is little to choose from
needs = {"images"}


def sweeps(data: datasets.Dataset) -> list[tasks.Sweep]:
    """A model of each noise at each level."""
    values = tasks.size(data) | {"objective": "denoising", "latent_dim": 32}
    axes = {"corruption": CORRUPTIONS, "level": LEVELS}
    return [tasks.Sweep("denoise", values, axes)]


def corrupted(
    x: np.ndarray, corruption: str, level: float, seed: int = 0
) -> np.ndarray:
    """x (N, *S) with noise of one of ``corruptions.CORRUPTIONS``."""
    corrupt, key = jax.jit(kinds.CORRUPTIONS[corruption]), jax.random.key(seed)
    run = lambda key, x: corrupt(key, x, level)  # noqa: E731
    keys = lambda start: (jax.random.fold_in(key, start),)  # noqa: E731
    return autoencoder.in_batches(run, x, extra=keys)


def median(x: np.ndarray, size: int) -> np.ndarray:
    """Median over size × size pixels of each image (N, H, W, C)."""
    from scipy import ndimage

    return ndimage.median_filter(x, (1, size, size, 1), mode="nearest")


def total_variation(x: np.ndarray, weight: float) -> np.ndarray:
    """Chambolle's minimiser of ‖x̂ − x‖² / 2 + weight · TV(x̂), image by image."""
    from skimage import restoration

    clean = restoration.denoise_tv_chambolle
    return np.stack([clean(image, weight, channel_axis=-1) for image in x])


# name: (filter, the values of its one number to choose from)
BASELINES = {
    "median": (median, (1, 3, 5)),
    "total variation": (total_variation, (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)),
}


def systems(
    models: tasks.Models,
    data: datasets.Dataset,
    valid: datasets.Split,
    corruption: str,
    level: float,
) -> dict[str, Callable]:
    """{name: (noisy images, y) -> restored ones}; choices are made on ``valid``."""
    limits, peak = datasets.limits(data), datasets.peak(data)
    noisy = corrupted(valid.x, corruption, level, seed=1)
    restore: dict[str, Callable] = {"noisy": lambda x, y: x}
    for name, (method, values) in BASELINES.items():
        guesses = {v: method(noisy, v).clip(*limits) for v in values}
        value = compare.best(guesses, valid.x, peak)
        restore[name] = lambda x, y, f=method, v=value: f(x, v).clip(*limits)
    fit = chosen(fitting(models, corruption, level), valid, noisy, peak)
    for name, model in tasks.named(fit).items():
        restore[name] = functools.partial(model.reconstruct, corrupted=True)
    return restore


def apply(
    models: tasks.Models,
    data: datasets.Dataset,
    *,
    corruptions: tuple = CORRUPTIONS,
    levels: tuple = LEVELS,
    limit: int = 1000,
) -> tasks.Result:
    """PSNR and SSIM of restored test images, by noise and level.

    Of models trained against a noise, those trained against this one at the nearest
    level are taken; other models for all. Of several of one objective and network it is
    that with the highest PSNR on validation images.

    Args:
      corruptions: names of ``corruptions.CORRUPTIONS``.
      levels: σ in data units, or a share of pixels.
    """
    test = tasks.held_out(data, "test", limit)
    valid = tasks.held_out(data, "valid", VALID)
    peak, picks, strongest = datasets.peak(data), tasks.examples(test), max(levels)
    conditions = (
        compare.Condition(
            {"corruption": kind, "level": level},
            systems(models, data, valid, kind, level),
            (corrupted(test.x, kind, level), test.y),
        )
        for kind in corruptions
        for level in levels
    )
    compared = compare.compare(
        conditions, lambda x_hat: compare.quality(test.x, x_hat, peak), picks
    )
    clean, pictures = [("clean", "PSNR", test.x[picks])], []
    for kind in corruptions:
        results = compare.where(compared, {"corruption": kind})
        last = compare.where(results, {"level": strongest})
        pictures += [
            compare.images(f"{kind} {strongest:g}", clean, last),
            compare.curves(kind, results, "level", compare.PSNR),
        ]
    text = (
        f"{len(test.x)} test images of {data.name}, noise of a fixed seed; PSNR and "
        "SSIM are means over images. The median's window, the weight of total "
        "variation, and one model of each objective and network where there are more, "
        f"are those with the highest PSNR on {len(valid.x)} validation images, at each "
        "level."
    )
    return tasks.Result(compare.rows(compared), pictures, text)


def chosen(models: tasks.Models, valid: datasets.Split, noisy, peak: float):
    """Of each objective and network the model that restores these images best."""
    kinds: dict[tuple, list[autoencoder.Autoencoder]] = {}
    for model in models:
        kind = model.config.objective, model.config.network
        kinds.setdefault(kind, []).append(model)
    guesses = (
        {m: m.reconstruct(noisy, valid.y, corrupted=True) for m in rivals}
        for rivals in kinds.values()
    )
    return [compare.best(x_hat, valid.x, peak) for x_hat in guesses]


def fitting(models: tasks.Models, corruption: str, level: float) -> tasks.Models:
    """Models trained against this corruption, at the nearest level; all if none is."""

    def noise(model):
        trained_on = model.config.hparams.get("corruption")
        return trained_on if model.config.objective == "denoising" else None

    same = [m for m in models if noise(m) == corruption]
    if not same:
        return list(models)
    gaps = [abs(m.config.hparams["level"] - level) for m in same]
    return [m for m, gap in zip(same, gaps, strict=True) if gap == min(gaps)]
