"""Inpainting of hidden pixels. Yeh et al., CVPR 2017; Vincent et al., JMLR 2010.

A denoising model is given zeros for them (forward); of others that code is looked for
which agrees with the rest (energy). Beside them the mean, a membrane, the biharmonic
surface, and Telea (2004) and Navier–Stokes (Bertalmio et al., 2001) of OpenCV.
"""

import functools
import importlib.util
from collections.abc import Callable, Sequence

import numpy as np

from aejax import data as datasets
from aejax import panels, tasks, trained
from aejax.tasks import holes as filling

WEIGHTS, RADII = (0.01, 0.1, 1.0), (1, 3, 5)
SURFACES = {f.__name__: f for f in (filling.membrane, filling.biharmonic)}
choose = {"latent_dim": {32}, "objective": {"vae", "denoising"}}
needs = {"images"}


def sweeps(data: datasets.Dataset) -> list[tasks.Sweep]:
    values = tasks.size(data) | {"objective": "denoising", "latent_dim": 32}
    values |= {"corruption": "occlusion", "level": filling.SHARE}
    return [tasks.zoo(data), tasks.Sweep("inpaint", values)]


Fills = dict[str, dict[str, Callable]]  # {system: {setting: (x, known, y) -> x_hat}}


def _baselines() -> Fills:
    def setting(fill: Callable, *numbers) -> Callable:
        return lambda x, known, y: fill(*numbers, x, known)

    every = {n: {"": setting(f)} for n, f in {"mean": filling.mean, **SURFACES}.items()}
    if importlib.util.find_spec("cv2"):
        for name, method in (("Telea", "TELEA"), ("Navier–Stokes", "NS")):
            fills = {f"radius={r}": setting(filling.opencv, method, r) for r in RADII}
            every[name] = fills
    return every


def _ours(models: Sequence[trained.Trained]) -> Fills:
    every: Fills = {}
    for model, told in zip(models, tasks.names(models), strict=True):
        name, _, told = told.partition(" ")
        if name == "denoising":
            fill = functools.partial(filling.forward, model)
            every.setdefault(name, {})[told] = fill
            continue
        fills = every.setdefault(name, {})
        for w in WEIGHTS:
            fill = functools.partial(filling.energy, model, weight=w)
            fills[f"{told} weight={w:g}".strip()] = fill
    return every


def hidden_psnr(x: np.ndarray, x_hat: np.ndarray, known: np.ndarray) -> float:
    """PSNR [dB] of all pixels of images in [0, 1] that are not known, as one."""
    hidden = ~np.broadcast_to(known, x.shape)
    return float(tasks.psnr(x[hidden][None], x_hat[hidden][None].clip(0, 1))[0])


def apply(
    models: Sequence[trained.Trained],
    data: datasets.Dataset,
    *,
    holes: tuple = filling.HOLES,
    share: float = filling.SHARE,
    most: int = 200,
) -> tasks.Result:
    """PSNR of hidden pixels of test images, by hole and system.

    Args:
      models: of images; of those of one objective the best on valid is taken.
      data: what they are tested on.
      holes: kinds, of ``holes.HOLES``.
      share: how much is hidden, see ``holes.mask``.
      most: test images, at most.
    """
    test, valid = tasks.held_out(data, "test", most), tasks.held_out(data, "valid", 64)
    at, metrics, shown = tasks.examples(test, 6), [], []
    baselines, ours = _baselines(), _ours(models)
    for hole in holes:
        known = filling.mask(hole, test.x.shape, share)
        tried = filling.mask(hole, valid.x.shape, share, seed=1)
        made: list[tuple[str, str, np.ndarray]] = []
        for name, fills in (baselines | ours).items():
            guess = {n: fill(valid.x, tried, valid.y) for n, fill in fills.items()}
            best = _best(guess, valid.x, tried)
            x_hat = fills[best](test.x, known, test.y)
            made.append((name, best, x_hat))
            if name in ours:
                surfaces = {
                    n: filling.blended(s, guess[best], valid.x, tried)
                    for n, s in SURFACES.items()
                }
                edge = _best(surfaces, valid.x, tried)
                x_hat = filling.blended(SURFACES[edge], x_hat, test.x, known)
                made.append((f"{name} + edge", f"{best} {edge}".strip(), x_hat))
        grey = np.where(known, test.x, 0.5)
        rows = [("clean", "PSNR", test.x[at]), ("hidden", "", grey[at])]
        for name, best, x_hat in made:
            psnr = hidden_psnr(test.x, x_hat, known)
            row = {"hole": hole, "system": name, "chosen": best, "psnr [dB]": psnr}
            metrics.append(row)
            note = f"{psnr:.1f} dB"
            rows.append((name, note, np.where(known, test.x, x_hat)[at]))
        what = "each side" if hole == "patch" else hole
        shown.append(panels.Images(f"{hole}: {share:.0%} of {what} hidden", rows))
    grid = np.reshape([row["psnr [dB]"] for row in metrics], (len(holes), -1)).T
    systems = [name for name, *_ in rows[2:]]
    title = "PSNR of hidden pixels [dB]"
    shown.append(panels.Grid(title, grid, systems, list(holes)))
    text = (
        f"{len(test.x)} test images of {data.name}, holes of a fixed seed. PSNR is of "
        "the mean squared error of all hidden pixels; known pixels are kept. Of a "
        "denoising model it is the output for zeros in the holes, of others the image "
        "of least energy; + edge adds a surface through the errors at the edge "
        "(Poisson blending, if a membrane). What was chosen (model, weight of ‖z‖², "
        f"radius, surface) had the highest PSNR on {len(valid.x)} validation images."
    )
    if "Telea" not in baselines:
        text += ' Telea and Navier–Stokes need: pip install "aejax[opencv]".'
    return tasks.Result(metrics, shown, text)


def _best(guesses: dict[str, np.ndarray], x: np.ndarray, known: np.ndarray) -> str:
    return max(guesses, key=lambda name: hidden_psnr(x, guesses[name], known))
