"""Inpainting of hidden pixels. Yeh et al., CVPR 2017; Vincent et al., JMLR 2010.

A denoising model is given zeros for them (forward); of others that code is looked for
which agrees with the rest (energy). Beside them the mean, a membrane, the biharmonic
surface, and Telea (2004) and Navier–Stokes (Bertalmio et al., 2001) of OpenCV.
"""

import functools
import importlib.util
from collections.abc import Callable

import numpy as np

from aejax import data as datasets
from aejax import evaluate, tasks
from aejax.tasks import compare, fills

WEIGHTS, RADII = (0.01, 0.1, 1.0), (1, 3, 5)
SURFACES = {f.__name__: f for f in (fills.membrane, fills.biharmonic)}
choose = {"latent_dim": {32}, "objective": {"vae", "denoising"}}
needs = {"images"}


def sweeps(data: datasets.Dataset) -> list[tasks.Sweep]:
    """The zoo, and a model trained with rectangles hidden."""
    values = tasks.size(data) | {"objective": "denoising", "latent_dim": 32}
    values |= {"corruption": "occlusion", "level": fills.SHARE}
    return [tasks.zoo(data), tasks.Sweep("inpaint", values)]


Settings = dict[str, dict[str, Callable]]  # {system: {setting: (x, known, y) -> x_hat}}


def baselines(limits: tuple[float, float] = (0.0, 1.0)) -> Settings:
    """Mean and surfaces; Telea and Navier–Stokes at three radii, where OpenCV is."""

    def setting(fill: Callable, *numbers) -> Callable:
        return lambda x, known, y: fill(*numbers, x, known)

    plain = {"mean": fills.mean, **SURFACES}
    systems = {name: {"": setting(fill)} for name, fill in plain.items()}
    if importlib.util.find_spec("cv2"):
        opencv = functools.partial(fills.opencv, limits=limits)
        for name, method in (("Telea", "TELEA"), ("Navier–Stokes", "NS")):
            radii = {f"radius={r}": setting(opencv, method, r) for r in RADII}
            systems[name] = radii
    return systems


def systems(models: tasks.Models) -> Settings:
    """The models by objective, at what there is to choose from."""
    settings: Settings = {}
    for name, model in tasks.named(models).items():
        objective, _, words = name.partition(" ")
        choices = settings.setdefault(objective, {})
        if objective == "denoising":
            choices[words] = functools.partial(fills.forward, model)
            continue
        for w in WEIGHTS:
            fill = functools.partial(fills.energy, model, weight=w)
            choices[f"{words} weight={w:g}".strip()] = fill
    return settings


def hidden_psnr(
    x: np.ndarray, x_hat: np.ndarray, known: np.ndarray, limits=(0.0, 1.0)
) -> float:
    """PSNR [dB] of the mse of all pixels that are not known, cut to ``limits``."""
    hidden = ~np.broadcast_to(known, x.shape)
    mse = evaluate.error(x[hidden][None], x_hat[hidden][None].clip(*limits))[0]
    return min(evaluate.psnr(mse, limits[1] - limits[0]), evaluate.metrics.CAP)


def filled(
    models: tasks.Models,
    test: tuple[datasets.Split, np.ndarray],
    valid: tuple[datasets.Split, np.ndarray],
    limits: tuple[float, float],
) -> list[tuple[str, str, np.ndarray]]:
    """(system, what was chosen, test images) of images and which pixels are known."""
    (part, known), (tried, tried_known) = test, valid

    def best(guesses: dict[str, np.ndarray]) -> str:
        return max(
            guesses, key=lambda n: hidden_psnr(tried.x, guesses[n], tried_known, limits)
        )

    ours, made = systems(models), []
    for name, settings in (baselines(limits) | ours).items():
        guesses = {n: f(tried.x, tried_known, tried.y) for n, f in settings.items()}
        setting = best(guesses)
        x_hat = settings[setting](part.x, known, part.y)
        made.append((name, setting, x_hat))
        if name in ours:
            moved = {
                n: fills.blended(s, guesses[setting], tried.x, tried_known)
                for n, s in SURFACES.items()
            }
            edge = best(moved)
            x_hat = fills.blended(SURFACES[edge], x_hat, part.x, known)
            made.append((f"{name} + edge", f"{setting} {edge}".strip(), x_hat))
    return made


def apply(
    models: tasks.Models,
    data: datasets.Dataset,
    *,
    masks: tuple = fills.HOLES,
    share: float = fills.SHARE,
    limit: int = 200,
) -> tasks.Result:
    """PSNR of hidden pixels of test images, by hole and system.

    Args:
      models: of images; of those of one objective the best on valid is taken.
      masks: kinds, of ``fills.HOLES``.
      share: how much is hidden, see ``fills.mask``.
    """
    test, valid = tasks.held_out(data, "test", limit), tasks.held_out(data, "valid", 64)
    limits, picks = datasets.limits(data), tasks.examples(test, 6)
    compared, pictures = [], []
    for hole in masks:
        known = fills.mask(hole, test.x.shape, share)
        tried = valid, fills.mask(hole, valid.x.shape, share, seed=1)
        results = []
        for name, setting, x_hat in filled(models, (test, known), tried, limits):
            psnr = hidden_psnr(test.x, x_hat, known, limits)
            row = {"chosen": setting, compare.PSNR: psnr}
            images = np.where(known, test.x, x_hat)[picks]
            results.append(compare.Compared({"hole": hole}, name, row, images))
        grey = np.where(known, test.x, np.mean(limits))[picks]
        first = ("clean", "PSNR", test.x[picks]), ("hidden", "", grey)
        what = "each side" if hole == "patch" else hole
        title = f"{hole}: {share:.0%} of {what} hidden"
        pictures.append(compare.images(title, first, results))
        compared += results
    title = "PSNR of hidden pixels [dB]"
    grid = compare.grid(title, compared, compare.PSNR, masks)
    text = (
        f"{len(test.x)} test images of {data.name}, holes of a fixed seed. PSNR is of "
        "the mean squared error of all hidden pixels; known pixels are kept. Of a "
        "denoising model it is the output for zeros in the holes, of others the image "
        "of least energy; + edge adds a surface through the errors at the edge "
        "(Poisson blending, if a membrane). What was chosen (model, weight of ‖z‖², "
        f"radius, surface) had the highest PSNR on {len(valid.x)} validation images."
    )
    if "Telea" not in grid.rows:
        text += ' Telea and Navier–Stokes need: pip install "aejax[opencv]".'
    return tasks.Result(compare.rows(compared), [*pictures, grid], text)
