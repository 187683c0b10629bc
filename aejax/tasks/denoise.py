"""Denoising of images. Vincent et al., JMLR 2010.

A model reconstructs from the noisy image. Beside it the noisy image itself, a median
filter and total variation (Chambolle, 2004), their one number chosen on valid.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from aejax import corruptions as kinds
from aejax import data as datasets
from aejax import panels, tasks, trained

every = True  # models of several levels are lanes of one program
CORRUPTIONS = ("gaussian", "masking", "salt_and_pepper")
LEVELS = (0.1, 0.25, 0.5)
needs = {"images"}


def sweeps(data: datasets.Dataset) -> list[tasks.Sweep]:
    values = tasks.size(data) | {"objective": "denoising", "latent_dim": 32}
    return [
        tasks.Sweep("denoise", values, {"corruption": CORRUPTIONS, "level": LEVELS})
    ]


def corrupted(
    x: np.ndarray, corruption: str, level: float, seed: int = 0
) -> np.ndarray:
    """x (N, *S) with noise of one of ``corruptions.CORRUPTIONS``."""
    corrupt = jax.jit(kinds.CORRUPTIONS[corruption])

    def run(key, x):
        return corrupt(key, x, level)

    key = jax.random.key(seed)
    return trained.in_batches(run, x, extra=lambda at: (jax.random.fold_in(key, at),))


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


def tuned(clean: Callable, values: Sequence[float], x: np.ndarray, noisy: np.ndarray):
    """The value with the highest mean PSNR on these images."""
    return max(values, key=lambda v: tasks.psnr(x, clean(noisy, v).clip(0, 1)).mean())


def apply(
    models: Sequence[trained.Trained],
    data: datasets.Dataset,
    *,
    corruptions: tuple = CORRUPTIONS,
    levels: tuple = LEVELS,
    most: int = 1000,
) -> tasks.Result:
    """PSNR and SSIM of restored test images, by noise and level.

    Of models trained against a noise, those trained against this one at the nearest
    level are taken; other models for all. Of several of one objective and network it is
    that with the highest PSNR on validation images.

    Args:
      models: of images.
      data: what they are tested on.
      corruptions: names of ``corruptions.CORRUPTIONS``.
      levels: σ in data units, or a share of pixels.
      most: test images, at most.
    """
    test = tasks.held_out(data, "test", most)
    valid = tasks.held_out(data, "valid", 100)
    at, metrics, shown = tasks.examples(test), [], []
    curves: dict[str, dict[str, list]] = {name: {} for name in corruptions}
    for corruption in corruptions:
        rows = [("clean", "PSNR", test.x[at])]
        for level in levels:
            noisy = corrupted(test.x, corruption, level)
            before = corrupted(valid.x, corruption, level, seed=1)
            restored: dict[str, np.ndarray] = {"noisy": noisy}
            for name, (clean, values) in BASELINES.items():
                best = tuned(clean, values, valid.x, before)
                restored[name] = clean(noisy, best).clip(0, 1)
            fit = chosen(fitting(models, corruption, level), valid, before)
            for name, model in zip(tasks.names(fit), fit, strict=True):
                restored[name] = model.reconstruct(noisy, test.y, corrupted=True)
            for name, x_hat in restored.items():
                row = tasks.quality(test.x, x_hat)
                head: dict[str, Any] = {"corruption": corruption, "level": level}
                metrics.append(head | {"system": name} | row)
                point = (level, row["psnr [dB]"])
                curves[corruption].setdefault(name, []).append(point)
                if level == max(levels):
                    rows.append((name, f"{point[1]:.1f} dB", x_hat[at]))
        shown += [
            panels.Images(f"{corruption} {max(levels):g}", rows),
            panels.Curves(corruption, "level", "PSNR [dB]", curves[corruption]),
        ]
    text = (
        f"{len(test.x)} test images of {data.name}, noise of a fixed seed; PSNR and "
        "SSIM are means over images. The median's window, the weight of total "
        "variation, and one model of each objective and network where there are more, "
        f"are those with the highest PSNR on {len(valid.x)} validation images, at each "
        "level."
    )
    return tasks.Result(metrics, shown, text)


def chosen(
    models: Sequence[trained.Trained], valid: datasets.Split, noisy: np.ndarray
) -> list[trained.Trained]:
    """Of each objective and network the model that restores these images best."""
    kinds: dict[tuple, list[trained.Trained]] = {}
    for model in models:
        kind = model.config.objective, model.config.network
        kinds.setdefault(kind, []).append(model)

    def score(model):
        found = model.reconstruct(noisy, valid.y, corrupted=True)
        return tasks.psnr(valid.x, found).mean()

    return [max(m, key=score) if m[1:] else m[0] for m in kinds.values()]


def fitting(
    models: Sequence[trained.Trained], corruption: str, level: float
) -> list[trained.Trained]:
    """Models trained against this corruption, at the nearest level; all if none is."""

    def noise(model):
        own = model.config.hparams.get("corruption")
        return own if model.config.objective == "denoising" else None

    mine = [m for m in models if noise(m) == corruption]
    if not mine:
        return list(models)
    off = [abs(m.config.hparams["level"] - level) for m in mine]
    return [m for m, far in zip(mine, off, strict=True) if far == min(off)]
