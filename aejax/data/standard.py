"""Numbers in standard units, by the training split alone, and back in their own."""

from typing import NamedTuple

import numpy as np

from aejax import config

KNOTS = 256  # quantiles, at most, that a distribution is known by
WAYS = {
    "none": "numbers as they are",
    "zscore": "(x - mean) / deviation of the training split",
    "quantile": "normal scores of the training split's quantiles",
}


class Standard(NamedTuple):
    """How some of the numbers along the last axis of x were changed.

    places: (n,) their positions.   center, spread: (n,) in the units they were given
    in.   knots: (Q, n) quantiles in these units, whose normal scores are ``scores``
    (Q,); None of z-scores.
    """

    places: np.ndarray
    center: np.ndarray
    spread: np.ndarray
    knots: np.ndarray | None = None
    scores: np.ndarray | None = None

    def listed(self) -> "Standard":
        """The same in JSON's types."""
        return Standard(*(a if a is None else np.asarray(a).tolist() for a in self))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """x (..., D) as given, in standard units; float64."""
        x, knots = np.array(x, np.float64), self.knots
        some = x[..., self.places]
        if knots is None:
            x[..., self.places] = (some - self.center) / np.asarray(self.spread)
            return x
        for i, place in enumerate(self.places):
            up, q, s = some[..., i], np.asarray(knots)[:, i], np.asarray(self.scores)
            # Equal quantiles have a middle score: read from below and from above.
            down = -np.interp(-up, -q[::-1], -s[::-1])
            x[..., place] = np.where(np.isnan(up), up, (np.interp(up, q, s) + down) / 2)
        return x

    def inverse(self, x: np.ndarray) -> np.ndarray:
        """x (..., D) in standard units, as it was given; float64.

        Of quantiles nothing lies beyond those of the training split.
        """
        x = np.array(x, np.float64)
        some = x[..., self.places]
        if self.knots is None:
            x[..., self.places] = some * self.spread + self.center
            return x
        for i, place in enumerate(self.places):
            knots = np.asarray(self.knots)[:, i]
            x[..., place] = np.interp(some[..., i], self.scores, knots)
        return x


def check(name: str, how: str) -> str:
    """One of ``WAYS``.

    Raises:
      InputError: another word.
    """
    if how not in WAYS:
        raise config.unknown(f"standardize of '{config.listed([name])}'", how, WAYS)
    return how


def fit(x: np.ndarray, places: np.ndarray, how: str) -> Standard | None:
    """The Standard of training rows x (N, D), of which NaN count for nothing.

    What is constant has spread 1, so that it becomes 0 and stays finite.
    """
    if how == "none" or not len(places):
        return None
    some = np.asarray(x, np.float64)[:, places]
    constant = np.nanmin(some, 0) == np.nanmax(some, 0)
    spread = np.where(constant, 1.0, np.nanstd(some, 0))
    center = np.where(constant, np.nanmin(some, 0), np.nanmean(some, 0))
    if how == "zscore":
        return Standard(places, center, spread)
    from scipy import special

    count = min(len(some), KNOTS)
    at_ranks = (np.arange(count) + 0.5) / count
    knots = np.nanquantile(some, at_ranks, axis=0, method="hazen")
    return Standard(places, center, spread, knots, special.ndtri(at_ranks))


def far(x: np.ndarray) -> str:
    """In words, how far x (N, D) is from unit scale; "" if it is not."""
    center, spread = np.abs(np.nanmean(x, 0)), np.nanstd(x, 0)
    high = max(center.max(), spread.max())
    if high <= 10 and not 0 < spread.max() < 0.1:
        return ""
    return (
        f"x is far from unit scale: deviations from {spread.min():.3g} to "
        f"{spread.max():.3g}, means up to {center.max():.3g} in size, so that a few "
        "columns decide, or none"
    )
