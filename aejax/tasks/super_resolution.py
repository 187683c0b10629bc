"""Super-resolution by a denoising autoencoder. Vincent et al., JMLR 2010.

A model trained on area averages restores what they lost. Beside it its input, each
pixel repeated, and bicubic interpolation; both also back-projected (Irani & Peleg,
1991), so that their own averages are the image they were made from.
"""

from collections.abc import Sequence

import jax
import numpy as np

from aejax import config, panels, tasks, trained
from aejax import data as datasets
from aejax.tasks import denoise

FACTORS = (2, 4)
every = True  # models of several factors are lanes of one program
needs = {"images"}


def sweeps(data: datasets.Dataset) -> list[tasks.Sweep]:
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
    every = tuple(factors or fit)
    if not every or any(f < 2 or s % f for f in every for s in sides):
        raise config.InputError(
            f"images of {sides[0]}×{sides[1]} do not come in blocks of {every or 2}; "
            "a factor must be a whole number from 2 that divides both sides"
        )
    return every


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


def apply(
    models: Sequence[trained.Trained],
    data: datasets.Dataset,
    *,
    factors: tuple = (),
    most: int = 1000,
) -> tasks.Result:
    """PSNR and SSIM of enlarged test images, by factor and system.

    Of models trained on averages, those of the nearest factor are taken; other models
    are taken for all.

    Args:
      models: of images.
      data: what they are tested on.
      factors: whole numbers that divide the sides; without them 2 and 4, if they do.
      most: test images, at most.
    """
    test = tasks.held_out(data, "test", most)
    at, metrics, shown = tasks.examples(test, 6), [], []
    factors = suitable(data, factors)
    grid: dict[str, list[float]] = {}
    for factor in factors:
        low = low_resolution(test.x, factor)
        nearest = enlarged(low, factor, "nearest")
        made = {"bicubic": enlarged(low, factor)}
        fit = denoise.fitting(models, "downsample", factor)
        for name, model in zip(tasks.names(fit), fit, strict=True):
            made[name] = model.reconstruct(nearest, test.y)
        systems = {"nearest": nearest}
        for name, x_hat in made.items():
            systems |= {name: x_hat, f"{name} + bp": back_projected(x_hat, low)}
        rows = [("clean", "PSNR", test.x[at])]
        for name, x_hat in systems.items():
            row = tasks.quality(test.x, x_hat.clip(0, 1))
            metrics.append({"factor": factor, "system": name} | row)
            grid.setdefault(name, []).append(row["psnr [dB]"])
            rows.append((name, f"{row['psnr [dB]']:.1f} dB", x_hat[at]))
        side = "×".join(map(str, low.shape[1:3]))
        shown.append(panels.Images(f"×{factor}, from {side}", rows))
    columns = [f"×{factor}" for factor in factors]
    values = np.array(list(grid.values()))
    shown.append(panels.Grid("PSNR [dB]", values, list(grid), columns))
    text = (
        f"{len(test.x)} test images of {data.name}; PSNR and SSIM are means over "
        "images. Parameters are the best on valid. + bp: three rounds of "
        "back-projection, of ours and of the baseline alike."
    )
    return tasks.Result(metrics, shown, text)
