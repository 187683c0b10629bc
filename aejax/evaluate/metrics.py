"""Measures of arrays, each written once: of rows, of tables of tasks, of the report.

NumPy alone. ``peak`` is everywhere ``data.peak``: the range of a data set.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

# How the names of metrics start that are never below 0.
POSITIVE = ("mse", "error_rate", "kl")
CAP = 100.0  # dB of an example that is exact, so that a mean over others stays finite


def error(x: np.ndarray, x_hat: np.ndarray, length: Any = None) -> np.ndarray:
    """(N,) mean over data elements of (x − x̂)², float64, in squared data units.

    x is (N, *S), x_hat too, or without axes of size 1. Of sequences the first
    ``length`` (N,) steps count, where it is given; NaN in x, what is missing, does not.
    """
    square = np.square(np.reshape(x, np.shape(x_hat)) - x_hat)
    if length is None and (missing := np.isnan(x)).any():
        count = (~missing).reshape(len(missing), -1).sum(1)
        square = np.where(missing.reshape(square.shape), 0.0, square)
        total = square.reshape(len(square), -1).sum(1, dtype=np.float64)
        return total / np.maximum(count, 1)
    if length is None:
        return square.reshape(len(square), -1).mean(1, dtype=np.float64)
    steps = square.reshape(*square.shape[:2], -1).mean(2, dtype=np.float64)
    valid = np.arange(steps.shape[1])[None] < np.asarray(length)[:, None]
    return (steps * valid).sum(1) / length


def psnr(mse: float, peak: float) -> float:
    """Peak signal-to-noise ratio of an mse, in dB: 10 log10(peak² / mse).

    A row's psnr is of its mse, the mean over all examples. Of restored images the field
    quotes another number, ``example_psnr``, which is never below it.
    """
    if not 0 < mse < math.inf:
        return -math.inf if mse else math.inf
    return 10.0 * math.log10(peak**2 / mse)


def example_psnr(x: np.ndarray, x_hat: np.ndarray, peak: float) -> np.ndarray:
    """(N,) the ``psnr`` of each example, ``CAP`` at most; tables have their mean."""
    return np.array([min(psnr(mse, peak), CAP) for mse in error(x, x_hat)])


def ssim_side(x: np.ndarray) -> int:
    """Pixels of the side of SSIM's window in images (N, H, W, C): 11, or odd below."""
    side = min(x.shape[1:3])
    return 11 if side >= 11 else min(7, side - 1 + side % 2)


def ssim(x: np.ndarray, x_hat: np.ndarray, peak: float) -> float:
    """Mean structural similarity of images (N, H, W, C). Wang et al., IEEE TIP 2004.

    Eq. 13, K1 = .01 and K2 = .03, where their 11×11 Gaussian window of σ = 1.5 fits;
    a side below 11 has no room for it: the window is uniform there, see ``ssim_side``.
    """
    from skimage import metrics  # half a second

    flat = [np.moveaxis(a, 3, 1).reshape(-1, *a.shape[1:3]) for a in (x, x_hat)]
    side, how = ssim_side(x), {"channel_axis": 0, "use_sample_covariance": False}
    window = {"win_size": side}
    if side == 11:
        window = {"gaussian_weights": True, "sigma": 1.5}
    return float(metrics.structural_similarity(*flat, data_range=peak, **how, **window))


def bits_per_dim(nll: Any, size: int) -> Any:
    """nll (nats of an example of ``size`` data elements) as bits per element.

    Of stored levels, which have probabilities; those of a density depend on its unit.
    """
    return nll / (size * math.log(2.0))


def interval(values: Any, positive: bool = False) -> tuple[Any, Any, Any]:
    """Mean over the first axis and its 95 % Student-t interval, or None for one value.

    A ``positive`` quantity has it on a log scale, mean · exp(± t se / mean): the delta
    method for the log of the mean. It holds the mean, stays above 0, and is the plain
    interval where that is narrow. Values that are not all above 0 have the plain one.
    """
    from scipy import special

    values = np.asarray(values, np.float64)
    mean, n = values.mean(0), len(values)
    if n < 2:
        return mean.tolist(), None, None
    half = special.stdtrit(n - 1, 0.975) * values.std(0, ddof=1) / math.sqrt(n)
    ends = mean - half, mean + half
    if positive and (values > 0).all():
        ends = mean * np.exp(-half / mean), mean * np.exp(half / mean)
    return tuple(a.tolist() for a in (mean, *ends))


def over_seeds(metric: str, values: Sequence[float]) -> tuple[float | None, ...]:
    """Mean, low and high of a metric of rows; None of what there is not."""
    if not len(values):
        return None, None, None
    return interval(values, metric.startswith(POSITIVE))


def rounded(value: float | None) -> float | None:
    """9 significant digits name a float32; what is not finite is None."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.9g}")


def truncate(
    model: Any, x: Any, y=None, length=None, sizes: Sequence[int] | None = None
) -> dict[int, float]:
    """{j: mse} of reconstructions from the first j code dimensions, the others 0.

    One model's whole bottleneck curve; meant for ordered codes (nested_dropout, PCA),
    and a measure of how unordered others are. x, y and length are as
    ``Autoencoder.encode`` takes them; without ``sizes`` j is 1, 2, 3, 4, 6, 8, 12, … k.
    """
    k = model.latent_dim
    steps = [2**i * f // 2 for i in range(k.bit_length()) for f in (2, 3)]
    sizes = sizes or sorted({min(j, k) for j in (*steps, k)})
    batch, z = model.batch(x, y, length), model.encode(x, y, length)

    def first(code: np.ndarray, j: int) -> np.ndarray:
        return code * (np.arange(k) < j)[None]

    out = {}
    for j in sizes:
        cut = tuple(first(c, j) for c in z) if isinstance(z, tuple) else first(z, j)
        x_hat = model.decode(cut, y)
        out[j] = float(error(batch.x, x_hat, batch.length).mean())
    return out
