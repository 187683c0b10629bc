"""Manifolds of known dimension: a fixed draw of points on each, with Gaussian noise.

x = point(u) + noise · ε, u uniform in the unit cube, ε ~ N(0, 1). All are of order 1,
with layers 0.44 apart or more; u measures length or area.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from aejax.data import dataset


class Manifold(NamedTuple):
    """``point``: dim arrays u (n,) in [0, 1] -> (n, size); ``noise``: σ of each x_i."""

    dim: int
    size: int
    noise: float
    about: str
    point: Callable[..., np.ndarray]


def _polar(r: np.ndarray, turns: np.ndarray, *more: np.ndarray) -> np.ndarray:
    turn = 2 * np.pi * turns
    return np.stack([r * np.cos(turn), r * np.sin(turn), *more], 1)


def _spiral(u: np.ndarray, *height: np.ndarray) -> np.ndarray:
    r = np.sqrt(1 / 9 + 8 / 9 * u)  # so that equal steps of u are of equal length
    return _polar(r, 2.25 * r, *(2 * v - 1 for v in height))


def _circles(u: np.ndarray) -> np.ndarray:
    return _polar(np.where(u < 1 / 3, 0.5, 1.0), np.where(u < 1 / 3, 3 * u, 1.5 * u))


def _helix(u: np.ndarray) -> np.ndarray:
    return _polar(u**0, 2 * u, 2 * u - 1)


def _sphere(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return _polar(2 * np.sqrt(u - u**2), v, 2 * u - 1)


def _plane(*u: np.ndarray) -> np.ndarray:
    waves = np.outer(np.arange(1, 9), np.arange(64) + 0.5) * np.pi / 64
    return (2 * np.stack(u, 1) - 1) @ np.cos(waves) / 4  # orthogonal, of equal length


def _bumps(*u: np.ndarray) -> np.ndarray:
    """Two bumps on a line of 64: where the first and second are, and how high."""
    u, i = np.stack(u, 1)[..., None], np.arange(64)
    bump = np.exp(-(((i - 10 - 32 * np.arange(2)[:, None] - 12 * u[:, :2]) / 3) ** 2))
    return ((0.5 + 0.5 * u[:, 2:]) * bump).sum(1)


MANIFOLDS = {
    "spiral": Manifold(1, 2, 0.03, "a curve in the plane", _spiral),
    "circles": Manifold(1, 2, 0.03, "two curves, one inside the other", _circles),
    "helix": Manifold(1, 3, 0.03, "a curve in space", _helix),
    "swiss_roll": Manifold(2, 3, 0.03, "a rolled sheet", _spiral),
    "sphere": Manifold(2, 3, 0.03, "the surface of a ball", _sphere),
    "bumps": Manifold(4, 64, 0.01, "two bumps that move and grow", _bumps),
    "plane_8": Manifold(8, 64, 0.01, "sums of eight cosines", _plane),
}


def draw(name: str) -> dataset.Dataset:
    """The data set; RandomState gives the same numbers in every NumPy."""
    known, random = MANIFOLDS[name], np.random.RandomState(0)
    x = known.point(*random.uniform(size=(known.dim, 5500)))
    x = (x + known.noise * random.normal(size=x.shape)).astype(np.float32)
    parts = map(dataset.Split, np.split(x, (4000, 4500)))
    return dataset.Dataset(name, *parts, "gaussian", 1.0)


def points(name: str, n: int = 20_000) -> np.ndarray:
    """(about n, D) points of the manifold, on a grid of u; a curve's in order."""
    known = MANIFOLDS[name]
    side = np.linspace(0, 1, round(n ** (1 / known.dim)))
    return known.point(*map(np.ravel, np.meshgrid(*[side] * known.dim)))
