"""Arrays of .npz and .npy files: their names, their checks, their splits."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aejax import config
from aejax.data import dataset, missing, npz, numbers, standard

OPTIONS = {
    "scale": "N, what x is divided by",
    "standardize": "zscore, quantile or none (the default), of numbers (N, D)",
    "hide": missing.OPTION,
}
WORDS = 1 << 20  # of captions: more is no vocabulary


def load(
    name: str,
    path: Path,
    scale: str | None = None,
    standardize: str = "none",
    hide: str = "0",
) -> dataset.Dataset:
    """The data set in a .npz or .npy file.

    ``.npz``: arrays x, or x_train with optional x_valid and x_test; y… (also label or
    labels) and length… (lengths) likewise, and factors… (N, F) with factor_names (F,).
    For valid say val, validation or dev as well; case does not matter. A name that
    looks like one of these and is none, like x_extra or mask, is refused, so that
    nothing is lost without a word; others are ignored beside an x, and without one the
    only other is x (``npz.fields``). Or a matrix of ``scipy.sparse.save_npz``.
    ``.npy``: x alone.

    ``scale``: what x is divided by; else see ``numbers.plain``. ``standardize``: see
    ``standard.WAYS``, by each of D of float data (N, D). ``hide``: ``missing.hidden``.

    Raises:
      InputError: contents that cannot be used, with the reason.
    """
    given, factor_names, notes = npz.read(name, path)
    data = build(name, given, factor_names, scale, f"--dataset '{name}@scale={{}}'")
    data = data._replace(notes=(*notes, *data.notes))
    return missing.hidden(standardized(data, standard.check(name, standardize)), hide)


def standardized(data: dataset.Dataset, how: str) -> dataset.Dataset:
    """Float data (N, D) in standard units of the training split; others as they are.

    Raises:
      InputError: asked of others.
    """
    x = data.train.x
    if x.ndim != 2 or x.dtype.kind != "f":
        if how == "none":
            return data
        raise config.InputError(
            f"standardize={how} is for numbers (N, D), and x of '{data.name}' is "
            f"{x.dtype} of shape {x.shape}; leave it out"
        )
    if how == "none":
        words = standard.far(x)
        more = f"{words}; {data.name}@standardize=zscore is the cure"
        return data._replace(notes=(*data.notes, *[more] * bool(words)))
    made = standard.fit(x, np.arange(x.shape[1]), how)
    data = dataset.mapped(data, lambda x: np.float32(made.forward(x)))
    note = f"standardize={how}: {standard.WAYS[how]}"
    about = {"standard": made, "likelihood": "gaussian"}
    return data._replace(**about, notes=(*data.notes, note))


def build(
    name: str,
    given: npz.Given,
    factor_names: Any = None,
    scale: str | float | None = None,
    ask: str = "scale={}",
) -> dataset.Dataset:
    """The data set of {split: {field: (what it is called, array)}}.

    uint8 has scale 255; float is never rescaled unless ``scale`` is given; bool becomes
    0 and 1; of other integers see ``numbers.plain``. uint8 or bool (N, H, W) gets a
    channel axis. Labels, numbers or strings, become 0…C-1 in sorted order and are kept
    as ``labels``; y (N, L) are captions: whole numbers, ids of words from 1 and 0
    beyond the end. Factors are whole numbers, kept as they are. Of series with length
    the steps beyond it are made 0, NaN for example.

    Raises:
      InputError: contents that cannot be used, with the reason.
    """
    asked = None if scale is None else numbers.scale(name, scale)
    first, *_ = given.values()
    x, top, notes = numbers.plain(
        f"{first['x'][0]} of '{name}'",
        ask,
        {split: fields["x"][1] for split, fields in given.items()},
        asked,
        "length" in first,
    )
    given = {s: f | {"x": (f["x"][0], x[s])} for s, f in given.items()}
    given = {s: _checked(name, fields) for s, fields in given.items()}
    sentences = {
        s: f"{s} has {', '.join(f)} and examples {f['x'].shape[1:]} of {kind}"
        for s, (f, kind) in given.items()
    }
    if len({t.partition(" has ")[2] for t in sentences.values()}) > 1:
        raise config.InputError(
            f"the splits of '{name}' must be alike: one shape of an example, one kind "
            "of number, y, length and factors for all or none; but "
            f"{'; '.join(sentences.values())}"
        )
    kind = given["train"][1]
    given = {split: fields for split, (fields, _) in given.items()}
    names = _factor_names(name, factor_names, given)
    about = _number_labels(name, given) if "y" in given["train"] else {}
    notes = [*notes, *missing.notes(name, given)]
    scale = top if kind == "uint8" else 1.0
    known = [missing.known(f["x"]) for f in given.values()]
    ends = [v for x in known if x.size for v in (x.min(), x.max())]
    parts = dataset.partition(name, {s: len(f["x"]) for s, f in given.items()})
    fields = {
        split: {f: a[rows] for f, a in given[origin].items()}
        for split, (origin, rows) in parts.items()
    }
    factors = {s: f.pop("factors") for s, f in fields.items() if "factors" in f}
    about |= {"factors": factors or None, "factor_names": names, "notes": tuple(notes)}
    about["rows"] = parts
    splits = (dataset.Split(**f) for f in fields.values())
    likelihood = "bernoulli" if 0 <= min(ends) <= max(ends) <= scale else "gaussian"
    return dataset.Dataset(name, *splits, likelihood, scale, **about)


def _checked(
    name: str, given: Mapping[str, tuple[str, np.ndarray]]
) -> tuple[dict[str, np.ndarray], str]:
    """{"x", "y", "length", "factors": …} of a split, as far as given, and x's kind."""
    what = {field: f"{called} of '{name}'" for field, (called, _) in given.items()}
    fields = {field: values for field, (_, values) in given.items()}
    stored, called = fields["x"], given["x"][0]
    if "y" in fields and fields["y"].ndim == 2 and fields["y"].shape[1] == 1:
        fields["y"] = fields["y"][:, 0]  # as a column of a table
    for field in {"y", "length"} & set(fields):
        shape = fields[field].shape
        if shape[:1] != stored.shape[:1] or len(shape) > 1 + (field == "y"):
            raise config.InputError(
                f"{what[field]} has shape {shape} but {called} has {len(stored)} "
                f"rows; it must have shape ({len(stored)},)"
            )
    if "length" in fields:
        fields["length"] = _lengths(what["length"], fields["length"], called, stored)
    x = _values(what["x"], stored, fields.get("length"))
    if (factors := fields.get("factors")) is not None:
        fits = factors.ndim == 2 and len(factors) == len(x) and factors.size
        if factors.dtype.kind not in "iu" or not fits:
            raise config.InputError(
                f"{what['factors']} has shape {factors.shape} and dtype "
                f"{factors.dtype}; it must be ({len(x)}, F), a row for each of "
                f"{called}, and of whole numbers: which value, counted, not the value "
                "itself"
            )
    kind = {"b": "bool", "f": "float"}.get(stored.dtype.kind, "uint8")
    return {"x": x} | {f: v for f, v in fields.items() if f != "x"}, kind


def _lengths(what: str, length: np.ndarray, called: str, x: np.ndarray) -> np.ndarray:
    """(N,) int32; whole numbers may be stored as float."""
    number = length.dtype.kind in "iuf"
    if not number or (length.dtype.kind == "f" and (length != np.rint(length)).any()):
        raise config.InputError(
            f"{what} must be whole numbers, but it is {length.dtype}"
        )
    if x.ndim != 3 or not x.size or not 1 <= length.min() <= length.max() <= x.shape[1]:
        ends = f"from {length.min()} to {length.max()}" if length.size else "nowhere"
        raise config.InputError(
            f"{what} runs {ends} and {called} has shape {x.shape}; it must lie in "
            "1 … T of (N, T, F)"
        )
    return length.astype(np.int32)


def _values(what: str, x: np.ndarray, length: np.ndarray | None) -> np.ndarray:
    """x as it is stored, uint8 or float32; 0 beyond the length of a series."""
    number = x.dtype.kind == "f" or x.dtype in (np.uint8, np.bool_)
    if not 2 <= x.ndim <= 4 or not x.size or not number:
        raise config.InputError(
            f"{what} has shape {x.shape} and dtype {x.dtype}; it must be (N, D), "
            "(N, T, F), (N, H, W) or (N, H, W, C), not empty, and uint8 (grey levels "
            "from 0 to 255), bool or float: save x.astype(np.float32)"
            + "; of one series (T,) say FILE@window=128"
            * (x.ndim == 1)
        )
    colours = (1, 3, 4)
    if x.ndim == 4 and x.shape[1] in colours and x.shape[3] not in colours:
        if x.shape[1] != x.shape[2]:  # else small squares of many channels
            raise config.InputError(
                f"{what} has shape {x.shape}: channels come last, (N, H, W, C), and "
                "here they seem to come first; save x.transpose(0, 2, 3, 1)"
            )
    if length is not None:
        valid = np.arange(x.shape[1]) < length[:, None]  # (N, T)
        x = np.where(valid[..., None], x, x.dtype.type(0))
    if x.dtype.kind == "f":
        with np.errstate(over="ignore"):
            x = np.ascontiguousarray(x, np.float32)
        # In (N, D) NaN is what is missing.
        bad = np.isinf(x) if x.ndim == 2 else ~np.isfinite(x)
        if bad.any():
            first = tuple(np.argwhere(bad)[0].tolist())
            raise config.InputError(
                f"{what} has {bad.sum()} entries that are not finite as float32, the "
                f"first at index {first}; remove or replace them, or give length of "
                "series (N, T, F) that end earlier"
            )
        return x
    return np.ascontiguousarray(x[..., None] if x.ndim == 3 else x, np.uint8)


def _factor_names(name: str, names: Any, given: Mapping[str, Mapping]) -> tuple:
    """Names of the columns of all splits' factors: those given, or factor 0, …"""
    widths = [f["factors"].shape[1] for f in given.values() if "factors" in f]
    if not widths:
        return ()
    if names is None:
        names = np.array([f"factor {i}" for i in range(widths[0])])
    fits = np.shape(names) == (widths[0],) and names.dtype.kind in "US"
    if len(set(widths)) > 1 or not fits or len(set(names.tolist())) < widths[0]:
        raise config.InputError(
            f"factors of '{name}' have {', '.join(map(str, widths))} columns and "
            f"factor_names shape {np.shape(names)} and dtype "
            f"{getattr(names, 'dtype', 'none')}; every split must have the same "
            "columns, each with a name of its own, a string"
        )
    return tuple(names.astype(str).tolist())


def _number_labels(name: str, given: Mapping[str, dict[str, np.ndarray]]) -> dict:
    """Makes every y int32 positions in the sorted list of labels, or ids of words.

    What a Dataset has of them: num_classes and labels.
    """
    labels = [fields["y"] for fields in given.values()]
    kinds = {y.dtype.kind.replace("u", "i") for y in labels}
    if len(kinds) > 1 or not kinds <= set("ibUS"):
        raise config.InputError(
            f"labels are whole numbers or strings, in every split alike, but y of "
            f"'{name}' is {', '.join({str(y.dtype) for y in labels})}"
        )
    if any(y.ndim == 2 for y in labels):
        alike = kinds == {"i"} and len({y.shape[1:] for y in labels}) == 1
        ids = np.concatenate(labels) if alike else np.zeros((0, 0))
        if ids.shape[1] < 2 or ids.min() < 0 or not 2 <= ids.max() < WORDS:
            raise config.InputError(
                f"y (N, L) of '{name}' must be captions: whole numbers, ids of words "
                f"from 1 and 0 beyond the end of each, below {WORDS:,}, L the same in "
                "every split; of one-hot labels give y.argmax(1), of a column y[:, 0]"
            )
        for fields in given.values():
            fields["y"] = fields["y"].astype(np.int32)
        return {"num_classes": int(ids.max()) + 1}
    values = np.unique(np.concatenate(labels))
    for fields in given.values():
        fields["y"] = np.searchsorted(values, fields["y"]).astype(np.int32)
    if kinds == {"b"}:
        values = values.astype(int)
    labels = [
        v.decode("utf-8", "replace") if kinds == {"S"} else str(v) for v in values
    ]
    return {"num_classes": len(values), "labels": tuple(labels)}
