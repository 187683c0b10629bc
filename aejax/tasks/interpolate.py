"""Paths between two images in latent space, lines and arcs. White, arXiv:1609.04468.

Beside them blending of the pixels, and of the reconstructions' pixels.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from aejax import autoencoder, config, evaluate, tasks
from aejax import data as datasets
from aejax.tasks import panels, sample_quality

choose = {"objective": {"ae", "vae"}, "latent_dim": 16}
needs = {"images"}
UNIT = "distance [data units]"


def line(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """(1 - t) a + t b of a and b (P, *S) at t (T,): (P, T, *S)."""
    t = np.float32(t).reshape(1, -1, *(1,) * (a.ndim - 1))
    return (1 - t) * a[:, None] + t * b[:, None]


def arc(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Spherical path around the origin between a and b (P, k), (P, T, k): slerp.

    (sin((1 - t) ω) a + sin(t ω) b) / sin ω with ω the angle between a and b: where that
    is 0 or π, which leaves no single arc, the line. White, 2016, section 2.1.
    """
    size = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = (a * b).sum(1) / np.maximum(size, 1e-30)
    omega = np.arccos(cosine.clip(-1, 1))[:, None, None]  # (P, 1, 1)
    sine, t = np.sin(omega), np.float32(t)[None, :, None]
    bent = np.sin((1 - t) * omega) * a[:, None] + np.sin(t * omega) * b[:, None]
    flat = sine < 1e-3
    return np.where(flat, line(a, b, t.ravel()), bent / np.where(flat, 1, sine))


def path(model: autoencoder.Autoencoder, kind: str, ends: Sequence, t: np.ndarray):
    """Decoded frames (P, T, *S) between two splits of P.

    "line" or "arc", around the prior's mean or else that of training codes; or "blend",
    of the pixels of the two reconstructions.
    """
    a, b = (tasks.codes(model, end) for end in ends)
    if kind == "blend":
        return line(model.decode(a), model.decode(b), t)
    middle = np.zeros_like(a[:1])
    if not model.has_normal_prior:
        middle = model.training_codes()[0].mean(0, keepdims=True)
    between = {"line": line, "arc": arc}[kind](a - middle, b - middle, t)
    x = model.decode((between + middle[None]).reshape(-1, a.shape[1]))
    return x.reshape(*between.shape[:2], *x.shape[1:])


def _pairs(part: datasets.Split, count: int) -> dict[str, np.ndarray]:
    """{what they have in common: (count, 2) rows}, drawn with a fixed seed."""
    rows = np.random.default_rng(0).integers(len(part.x), size=(50 * count, 2))
    rows, kinds = rows[rows[:, 0] != rows[:, 1]], {"any two": slice(None)}
    if part.y is not None and part.y.ndim == 1:
        same = part.y[rows[:, 0]] == part.y[rows[:, 1]]
        kinds = {"two classes": ~same, "one class": same}
    pairs = {kind: rows[mask][:count] for kind, mask in kinds.items()}
    return {kind: some for kind, some in pairs.items() if len(some) > 1}


def apply(
    models: tasks.Models,
    data: datasets.Dataset,
    *,
    pairs: int = 100,
    frames: int = 13,
    limit: int = 10_000,
) -> tasks.Result:
    """Distances of frames between test images to the nearest real image.

    Args:
      pairs: of test images, of each kind (two classes, one class).
      frames: of a path, its ends included.
      limit: images of a split that are compared with, at most.
    """
    test, t = tasks.held_out(data), np.linspace(0, 1, frames)
    near = {s: tasks.held_out(data, s, limit).x for s in ("valid", "train")}
    drawn, metrics, charts, pictures = _pairs(test, pairs), [], [], []
    if not drawn or frames < 3:
        raise config.InputError(
            f"{len(test.x)} test images or {frames} frames are too few for paths: 2 "
            "and 3 would do"
        )
    for kind, rows in drawn.items():
        ends = [jax.tree.map(lambda a, i=i: a[i], test) for i in rows.T]
        paths = {"pixels": line(ends[0].x, ends[1].x, t)}
        for name, model in tasks.named(models).items():
            for how in ("line", "arc", "blend"):
                paths[f"{name} {how}"] = path(model, how, ends, t)
        paths["real images"] = paths["pixels"][:, [0, -1]]
        lines, bars, strip = {}, {}, []
        for system, x in paths.items():
            row: dict[str, Any] = {"pairs": kind, "system": system}
            for name, reference in near.items():
                far = sample_quality.nearest(x.reshape(-1, *x.shape[2:]), reference)[0]
                far = far.reshape(x.shape[:2])  # (P, T)
                inner = (far[:, 1:-1] if far.shape[1] == frames else far).mean(1)
                mean = evaluate.interval(inner)
                row[f"distance to {name} [data units]"] = mean[0]
            metrics.append(row)
            bars[system] = mean  # to train, the last
            if not system.endswith("blend"):
                places = t if x.shape[1] == frames else t[[0, -1]]
                lines[system] = list(zip(places, *evaluate.interval(far), strict=True))
                strip.append((system, f"{inner[0]:.2f}", x[0]))
        title = f"{kind}: nearest training image"
        charts.append(panels.Curves(title, "position on the path", UNIT, lines))
        charts.append(panels.Bars(f"{kind}: mean within", UNIT, bars))
        pictures.append(panels.Images(f"{kind}: the first pair", strip[:-1]))
    text = (
        f"{len(rows)} pairs of test images of {data.name} of each kind, drawn with a "
        f"fixed seed; {frames} frames, the means without their ends. Distance is "
        f"Euclidean, to the nearest of {len(near['train'])} training and "
        f"{len(near['valid'])} validation images; real images are the ends. "
        "Blend is of the two reconstructions; what a path gains on it is the path's, "
        "what it gains on pixels the smoother reconstruction's. Intervals: 95 %."
    )
    return tasks.Result(metrics, charts + pictures, text)
