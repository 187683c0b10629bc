"""What numbers mean: levels, 0 and 1, or values as they are. See ``plain``."""

from collections.abc import Mapping

import numpy as np

from aejax import config

EXACT = 1 << 24  # above it float32 leaves whole numbers out


def scale(name: str, text: str | float) -> float:
    """A ``scale`` as users give it.

    Raises:
      InputError: no positive number.
    """
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = 0.0
    if not 0 < value < float("inf"):
        raise config.InputError(
            f"scale of '{name}' is {config.listed([text])}; it is what x is divided "
            "by, a positive number: 255 of levels from 0 to 255, 1 of numbers that are "
            "taken as they are"
        )
    return value


def plain(
    what: str,
    ask: str,
    given: Mapping[str, np.ndarray],
    asked: float | None = None,
    series: bool = False,
) -> tuple[dict[str, np.ndarray], float, list[str]]:
    """x of all splits as uint8, bool or float; what it counts from; what to say.

    uint8 counts from 255. Other integers are 0 and 1 if they are nothing else; levels,
    as uint8 has them, if they run from 0 to 255; and values as they are if some lie
    outside of that. Two bytes of no type, as NumPy saves bfloat16, are that.

    Args:
      what: the array, in messages; ask: how a scale is asked for, with a {}.
      asked: x / asked is in data units, whatever x is: whole numbers from 0 to it, 255
        at most, stay levels.
      series: (N, T, F), which are no images.

    Raises:
      InputError: integers that may be levels, values or ids.
    """
    notes: list[str] = []
    bits = [x.dtype.kind == "V" and x.dtype.itemsize == 2 for x in given.values()]
    if all(bits) and not any(x.dtype.names for x in given.values()):
        wide = {s: x.view(np.uint16).astype(np.uint32) for s, x in given.items()}
        given = {s: (x << 16).view(np.float32) for s, x in wide.items()}
        notes = ["x has two bytes a number, of no type: taken as bfloat16"]
    kinds = {x.dtype.kind for x in given.values()}
    fits = all(1 < x.ndim < 5 and x.size for x in given.values())
    whole = kinds <= set("iub")
    if not fits or not (whole or kinds == {"f"}):  # to be refused, in all its splits
        return dict(given), 255.0, notes
    if asked is not None:
        return *_divided(given, asked), notes
    types = {x.dtype for x in given.values()}
    if types == {np.dtype(np.uint8)}:
        if (high := max(x.max() for x in given.values())) <= 1:  # it would be black
            raise config.InputError(
                f"{what} is uint8, from 0 to 255, but at most {high}; save binary data "
                f"as x.astype(bool), or say {ask.format(255)}"
            )
    if not whole or types & {np.dtype(bool), np.dtype(np.uint8)}:
        return dict(given), 255.0, notes
    kind, note = _integers(what, ask, given, series)
    return {s: x.astype(kind) for s, x in given.items()}, 255.0, [note]


def _divided(
    given: Mapping[str, np.ndarray], scale: float
) -> tuple[dict[str, np.ndarray], float]:
    """x as levels from 0 to the scale, and it; or x / scale in float32, and 1."""
    whole = all(x.dtype.kind in "iub" for x in given.values()) and 1 != scale <= 255
    if whole and all(x.min() >= 0 and x.max() <= scale for x in given.values()):
        return {s: x.astype(np.uint8) for s, x in given.items()}, scale
    out = {}
    for split, x in given.items():
        short = x.dtype.itemsize < 4 or x.dtype == np.float32
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is so
            x = x.astype(np.float32 if short else np.float64) / scale
            out[split] = x.astype(np.float32)
    return out, 1.0


def _integers(
    what: str, ask: str, given: Mapping[str, np.ndarray], series: bool
) -> tuple[type, str]:
    """What they are stored as, and a note that says so."""
    types = {x.dtype for x in given.values()}
    low = min(x.min() for x in given.values())
    high = max(x.max() for x in given.values())
    about = f"{', '.join(sorted(t.name for t in types))} from {low} to {high}"
    if 0 <= low and high <= 1:
        return bool, f"x is {about}: taken as bool"
    if 0 <= low and high == 255:
        return np.uint8, f"x is {about}: taken as levels, as uint8"
    first = next(iter(given.values()))
    deep = {t.name for t in types} == {"uint16"}
    images = first.ndim > 2 and not series
    if (low < 0 or high > 255) and not (deep and images):
        rounded = ", but rounded" * bool(max(-int(low), int(high)) > EXACT)
        return np.float32, f"x is {about}: taken as numbers, as they are{rounded}"
    top = 65535 if high > 255 else int(high)
    others = f", {ask.format(top)} if it is levels from 0 to {top}" * (top != 255)
    raise config.InputError(
        f"{what} has shape {first.shape} and dtype {first.dtype.name}; it runs from "
        f"{low} to {high}, and what it means has to be said: {ask.format(255)} if it "
        f"is grey levels from 0 to 255{others}, {ask.format(1)} if it is numbers as "
        "they are; ids are saved one-hot, as np.eye(K, dtype=bool)[x]"
    )
