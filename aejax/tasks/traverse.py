"""Walks in latent space: one dimension at a time, and along known transformations.

A transformation T_a is learned from codes of transformed training images: z(T_a x) ≈
z(x) + a d with d shared by all images, or an affine map of z(x) (Plumerault et al.,
ICLR 2020; Jahanian et al., ICLR 2020). Beside it the same two on pixels.
"""

import types
from collections.abc import Callable

import numpy as np

from aejax import config, evaluate, tasks
from aejax import data as datasets
from aejax.tasks import compare, panels

choose = {"objective": {"ae", "vae"}, "latent_dim": 16}
needs = {"images"}
LARGEST = {"shift": 0.12, "zoom": 0.3, "rotation": 30.0, "brightness": 0.6}
UNIT = {"shift": "widths", "zoom": "octaves", "rotation": "degrees"}  # or a share


def transform(
    x: np.ndarray, name: str, amount: float, limits: tuple[float, float] = (0.0, 1.0)
) -> np.ndarray:
    """Images (N, H, W, C) in ``limits`` after one of ``LARGEST``, of amount a.

    shift: a W pixels to the right; zoom: 2^a times as large; rotation: a degrees
    counterclockwise; brightness: 1 + a times as far from the lower limit, cut at the
    upper one. Linear; the border repeats.
    """
    from scipy import ndimage

    if name == "brightness":
        return np.clip(limits[0] + (1 + amount) * (x - limits[0]), *limits)
    turn = np.deg2rad(amount * (name == "rotation"))
    cos, sin = np.cos(turn), np.sin(turn)
    inverse = np.array([[cos, sin], [-sin, cos]]) / 2 ** (amount * (name == "zoom"))
    middle = (np.array(x.shape[1:3]) - 1) / 2
    moved = middle + [0, amount * x.shape[2] * (name == "shift")]
    full, offset = np.eye(4), np.zeros(4)
    full[1:3, 1:3], offset[1:3] = inverse, middle - inverse @ moved
    return ndimage.affine_transform(x, full, offset, order=1, mode="nearest")


def slopes(z: np.ndarray, moved: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """Least squares of moved (A, N, k) ≈ z + a · slope, one (N, k) per example."""
    return np.einsum("a,ank->nk", amounts, moved - z[None]) / np.square(amounts).sum()


def affine(z: np.ndarray, slope: np.ndarray) -> Callable:
    """Ridge regression z (N, k) -> slope (N, k), strong as leaving one out says."""
    from sklearn import linear_model

    ridge = linear_model.RidgeCV((0.01, 1.0, 100.0))
    return ridge.fit(z.astype(np.float64), slope.astype(np.float64)).predict


def apply(
    models: tasks.Models,
    data: datasets.Dataset,
    *,
    transformations: tuple = tuple(LARGEST),
    limit: int = 1000,
) -> tasks.Result:
    """PSNR between predicted and really transformed test images.

    Args:
      data: images; directions are learned on its training split.
      transformations: of shift, zoom, rotation, brightness.
      limit: images of each split, at most.
    """
    named = tasks.named(models)
    splits = {s: tasks.held_out(data, s, limit) for s in ("train", "test")}
    test, pick = splits["test"], tasks.examples(splits["test"], 3)[1]
    limits, peak = datasets.limits(data), datasets.peak(data)
    y = None if test.y is None else np.repeat(test.y[pick], 9)
    metrics, pictures = [], []
    for name, model in named.items():
        z, z_test = (tasks.codes(model, part) for part in splits.values())
        rows = dimensions(model, z, z_test[pick], y)
        title = f"{name}: one latent at a time; its variance"
        pictures.append(panels.Images(title, rows))
    named["pixels"] = types.SimpleNamespace(
        encode=lambda x, *_: x.reshape(len(x), -1),
        decode=lambda z, _: z.reshape(test.x.shape),
    )
    for kind in transformations:
        if kind not in LARGEST:
            raise config.unknown("transformation", kind, LARGEST)
        amounts = LARGEST[kind] * np.float32([-1, -2 / 3, -1 / 3, 1 / 3, 2 / 3, 1])
        moved = {
            s: np.stack([transform(part.x, kind, a, limits) for a in amounts])
            for s, part in splits.items()
        }
        rows, lines = [("real", "PSNR [dB]", moved["test"][:, pick])], {}
        for name, model in named.items():
            for way, r2, codes in _ways(model, name, splits, moved, amounts):
                x_hat = np.stack([model.decode(z, test.y) for z in codes]).clip(*limits)
                pairs = zip(moved["test"], x_hat, strict=True)
                psnr = [evaluate.example_psnr(a, b, peak).mean() for a, b in pairs]
                mean, system = float(np.mean(psnr)), f"{name} {way}"
                row = {"transformation": kind, "system": system, compare.PSNR: mean}
                metrics.append(row | {"linearity r2": r2})
                if way != "shared direction":
                    lines[system] = list(zip(amounts, psnr, strict=True))
                if way in ("shared direction", "affine map"):
                    rows.append((system, f"{mean:.1f}", x_hat[:, pick]))
        axes = f"amount [{UNIT.get(kind, 'share')}]", "PSNR [dB]"
        pictures += [panels.Images(kind, rows), panels.Curves(kind, *axes, lines)]
    text = (
        f"{len(test.x)} test images, transformed by three amounts either way; learned "
        f"from {len(splits['train'].x)} training images, with the ridge that leaving "
        "one out asks for. PSNR is to the image really transformed, whose code gives "
        "reconstruction; the code of the image as it was gives no change. linearity r2 "
        "is the share of test codes' squared displacement that is predicted."
    )
    return tasks.Result(metrics, pictures, text)


def _ways(model, name: str, splits, moved, amounts) -> list[tuple]:
    """(way, share of the codes' squared displacement that is predicted, codes)."""
    codes = directions(model, splits, moved, amounts)
    still, real = codes["no change"], codes["reconstruction"]
    if name == "pixels":
        del codes["reconstruction"]  # exact
    whole = np.square(real - still).sum()
    left = {way: np.square(real - z).sum() / whole for way, z in codes.items()}
    return [(way, float(1 - left[way]), z) for way, z in codes.items()]


def directions(model, splits, moved, amounts) -> dict[str, np.ndarray]:
    """{way: predicted codes (A, N, k) of moved test images, or their real ones}."""
    z = {s: tasks.codes(model, part) for s, part in splits.items()}
    far = {
        s: np.stack([tasks.codes(model, splits[s]._replace(x=x)) for x in moved[s]])
        for s in splits
    }
    slope = slopes(z["train"], far["train"], amounts)
    ways = {
        "no change": 0 * z["test"],
        "shared direction": slope.mean(0, keepdims=True),
        "affine map": affine(z["train"], slope)(z["test"]).astype(np.float32),
    }
    steps = amounts[:, None, None]
    ways = {way: z["test"][None] + steps * d[None] for way, d in ways.items()}
    return ways | {"reconstruction": far["test"]}


def dimensions(model, z, code, y=None) -> list[tuple[str, str, np.ndarray]]:
    """Rows of 9 images of a code (k,): one of 8 latents takes the values in z."""
    rows = []
    for i in np.argsort(-z.var(0))[:8]:
        walk = np.repeat(code[None], 9, 0)
        walk[:, i] = np.quantile(z[:, i], np.linspace(0.01, 0.99, 9))
        rows.append((f"z{i}", f"{z[:, i].var():.2g}", model.decode(walk, y)))
    return rows
