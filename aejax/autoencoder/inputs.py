"""What users give to a trained model, held to what ``data.load`` holds data to."""

from typing import Any

import numpy as np

from aejax import config
from aejax import data as datasets
from aejax.training import spec as specs

# By which x may leave [0, 1]: pictures that were resized in float do, by some 1e-5.
_ROUNDING = 1e-4


def array(x: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    """x as an array of real numbers, (N, *shape).

    Raises:
      InputError: it is of another shape or kind.
    """
    x = np.asarray(x)
    if x.dtype.kind in "cOSUMm":
        raise config.InputError(
            f"{name} is of type {x.dtype}; this model takes real numbers"
        )
    if x.shape[1:] != shape or x.ndim != len(shape) + 1:
        wanted = ", ".join(["N", *map(str, shape)])
        raise config.InputError(
            f"{name} has shape {x.shape}; this model takes ({wanted}), in data "
            "units" + (" (x_stored / scale)" if name == "x" else "")
        )
    return x


def examples(
    spec: specs.TrainSpec, x: Any, length: Any, corrupted: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """x (N, *S) as float32 in data units, 0 beyond ``length``, and that, (N,) or None.

    Raises:
      InputError: shapes or kinds that do not fit, a missing length; see ``in_units``.
    """
    shape = spec.data.shape
    if hasattr(x, "columns") and spec.data.columns:  # a DataFrame, in its own units
        x = datasets.encoded(spec.data, x, "x")
    sequences = "sequence" in spec.model.network.needs
    if sequences and shape[1:] == (1,) and np.ndim(x) == 2:
        x = np.asarray(x)[..., None]
    x = array(x, shape, "x")
    if length is not None:
        length = np.asarray(length)
        whole = length.shape == x.shape[:1] and length.dtype.kind in "iu"
        if not whole or ((length < 1) | (length > shape[0])).any():
            raise config.InputError(
                f"length must be {len(x)} whole numbers from 1 to {shape[0]}"
            )
        length = length.astype(np.int32)
    elif "length" in spec.data.arrays:
        raise config.InputError(
            "the data of this model have a length, so x must come with one: "
            f"length=np.full(len(x), {shape[0]}) if every step counts"
        )
    return in_units(spec, x, length, corrupted), length


def in_units(
    spec: specs.TrainSpec, x: np.ndarray, length: np.ndarray | None, corrupted: bool
) -> np.ndarray:
    """x (N, *S) as float32 in data units, 0 beyond ``length`` (N,).

    Whole numbers, of a set that is stored as uint8, are divided by the set's scale; but
    0 and 1 alone are what they are to a model of binarised data.

    Raises:
      InputError: values that are not finite, but for NaN where the model knows of
        missing ones; unless ``corrupted``, values outside the range of the likelihood.
    """
    scale, stored = spec.data.scale, spec.data.arrays["x"][0]
    counts = x.dtype.kind in "iu" and stored == "uint8" and scale != 1
    if counts and spec.scales[1] == 1:  # binarised
        counts = x.size > 0 and x.max() > 1
    x = np.asarray(x, np.float32) / np.float32(scale if counts else 1)
    if length is not None:
        x[np.arange(x.shape[1]) >= length[:, None]] = 0
    missing = spec.model.network_spec.missing
    if (infinite := np.isinf(x) if missing else ~np.isfinite(x)).any():
        first = tuple(np.argwhere(infinite)[0].tolist())
        raise config.InputError(
            f"x has {infinite.sum():,} entries that are not finite, the first at index "
            f"{first}; remove or replace them"
        )
    some = x[~np.isnan(x)] if missing else x
    low, high = (some.min(), some.max()) if some.size else (0, 0)
    beyond = low < -_ROUNDING or high > 1 + _ROUNDING
    if beyond and spec.model.observed().support != "real" and not corrupted:
        divide = f"divide what is stored by {scale:g}, " * (scale != 1)
        raise config.InputError(
            f"x runs from {low:g} to {high:g}, but this model's likelihood is "
            f"'{spec.model.likelihood}', of values in [0, 1]; {divide}or say "
            "corrupted=True of noisy inputs"
        )
    return x


def labels(spec: specs.TrainSpec, y: Any, n: int) -> np.ndarray | None:
    """y (n,), or (n, L) of captions, for a conditional model; None for another.

    Raises:
      InputError: it does not fit.
    """
    classes, words = (
        spec.model.network_spec.num_classes,
        spec.model.network_spec.captions,
    )
    if not classes:
        return None
    y, names = np.asarray(y), dict(spec.data.labels)
    if y.dtype.kind == "U" and not words:
        ids = {label: k for k, label in names.items()}
        y = np.array([ids.get(label, -1) for label in y.ravel().tolist()])
    inside = y.dtype.kind in "iu" and ((y >= 0) & (y < classes)).all()
    if y.shape[:1] != (n,) or y.ndim != 1 + words or not inside:
        what = "rows of ids of words" if words else "class ids"
        also = f" or labels, in this order: {config.listed(names.values(), 20)};"
        raise config.InputError(
            f"this model is conditional: y must be {n} {what} from 0 to "
            f"{classes - 1},{also * bool(names)} not {np.unique(y)[:20]} of shape "
            f"{y.shape}"
        )
    return y.astype(np.int32)
