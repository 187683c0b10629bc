"""What users give to a trained model, held to what ``data.load`` holds data to."""

import numpy as np

from aejax import config, likelihoods
from aejax import group as groups

_ROUNDING = 1e-4  # by which x may leave [0, 1]: resized pictures do


def in_units(
    group: groups.Group, x: np.ndarray, length: np.ndarray | None, corrupted: bool
) -> np.ndarray:
    """x (N, *S) as float32 in data units, 0 beyond ``length`` (N,).

    Whole numbers, of a set that is stored as uint8, are divided by the set's scale; but
    0 and 1 alone are what they are to a model of binarised data.

    Raises:
      InputError: values that are not finite; unless ``corrupted``, values outside the
        range of the group's likelihood.
    """
    scale, stored = group.dataset.scale, group.dataset.train.x.dtype
    counts = x.dtype.kind in "iu" and stored == np.uint8 and scale != 1
    if counts and group.source.held_scale == 1:  # binarised
        counts = x.size > 0 and x.max() > 1
    x = np.asarray(x, np.float32) / np.float32(scale if counts else 1)
    if length is not None:
        x[np.arange(x.shape[1]) >= length[:, None]] = 0
    if (bad := ~np.isfinite(x)).any():
        first = tuple(np.argwhere(bad)[0].tolist())
        raise config.InputError(
            f"x has {bad.sum():,} entries that are not finite, the first at index "
            f"{first}; remove or replace them"
        )
    blueprint = group.recipe.blueprint
    known = likelihoods.LIKELIHOODS[blueprint.likelihood](blueprint.scale)
    low, high = (x.min(), x.max()) if x.size else (0, 0)
    beyond = low < -_ROUNDING or high > 1 + _ROUNDING
    if beyond and known.support != "real" and not corrupted:
        divide = f"divide what is stored by {scale:g}, " * (scale != 1)
        raise config.InputError(
            f"x runs from {low:g} to {high:g}, but this model's likelihood is "
            f"'{blueprint.likelihood}', of values in [0, 1]; {divide}or say "
            "corrupted=True of noisy inputs"
        )
    return x
