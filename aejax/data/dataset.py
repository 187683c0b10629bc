"""What a data set is, how its splits are made, and which likelihood may model it."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from aejax import config, machine

SPLITS = ("train", "valid", "test")
ALIASES = {  # what else splits are called, in any case
    **dict.fromkeys(("valid", "val", "validation", "dev", "eval"), "valid"),
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
}
# Count levels: data stored as integers.
LEVELS = ("categorical", "discretized_logistic", "tokens")
UNIT = ("bernoulli", "continuous_bernoulli", *LEVELS)  # need data in [0, 1]


class Split(NamedTuple):
    """One part of a data set, as stored.

    x: (N, H, W, C) images or (N, D), (N, T, F) other data; uint8 or float32. NaN in
      (N, D) is a value that is missing.
    y: (N,) int32 classes from 0, or None.   length: (N,) int32 valid steps, or None.
    """

    x: np.ndarray
    y: np.ndarray | None = None
    length: np.ndarray | None = None


class Dataset(NamedTuple):
    """Three splits, the likelihood that suits them, and their unit.

    In data units x_float = x / scale: 255 for uint8 images, 16 for digits, 1 for
    float32 and for binary data stored as 0 and 1. ``num_classes`` is 0 without labels;
    ``symbols`` are the characters whose ids x counts, of text or (see ``music``) notes.
    ``factors`` {split: (N, F) whole numbers}, if known, are what each x was drawn from,
    and ``factor_names`` their columns. ``labels`` are the user's own names of classes
    0 … C-1; () where those numbers are the names (see ``labels``). ``rows``
    {split: (given split, rows (N,) there)}, where that is known, say where examples
    stand in what was given. ``notes`` say what was done to that, where its meaning had
    to be understood; commands print them. ``columns`` are a table's
    (``columns.Column``), and ``standard`` is how its numbers were standardised; see
    ``encoding.as_given``. ``series`` is what windows were cut from (``series.Series``).
    """

    name: str
    train: Split
    valid: Split
    test: Split
    likelihood: str
    scale: float
    num_classes: int = 0
    symbols: str = ""
    factors: Mapping[str, np.ndarray] | None = None
    factor_names: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    rows: Mapping[str, tuple[str, np.ndarray]] | None = None
    notes: tuple[str, ...] = ()
    columns: tuple[Any, ...] = ()
    standard: Any = None
    series: Any = None


def labels(data: Dataset) -> dict[int, str]:
    """{class: its name}, of every class; {} of data without classes."""
    if data.labels or data.train.y is None or data.train.y.ndim > 1:
        return dict(enumerate(data.labels))
    known = set(range(data.num_classes))
    known.update(*(np.unique(getattr(data, s).y).tolist() for s in SPLITS))
    return {k: str(k) for k in sorted(known)}


def split_names(where: str, names: Iterable[str]) -> dict[str, str]:
    """{split: its name among these}, of names and aliases of splits.

    Raises:
      InputError: two names of one split.
    """
    splits: dict[str, str] = {}
    for name in names:
        if (split := ALIASES.get(name.lower())) in splits:
            raise config.InputError(
                f"{where} has both '{splits[split]}' and '{name}', two names of one "
                "split: leave one"
            )
        if split:
            splits[split] = name
    return splits


def parts(name: str, obj: Any) -> dict[str, Any]:
    """{split: its part} of such a dict, by any names of splits; {"train": obj} else.

    Raises:
      InputError: a dict of anything else, or without train.
    """
    if not isinstance(obj, Mapping):
        return {"train": obj}
    named = split_names(f"'{name}'", map(str, obj))
    if "train" not in named or len(named) < len(obj):
        raise config.InputError(
            f"'{name}' is a dict of {config.listed(obj)}; it must be one of splits, "
            "train and perhaps valid and test"
        )
    return {s: obj[named[s]] for s in SPLITS if s in named}


def picked(part: Split, picks: Any) -> Split:
    """These rows of a split, by their positions, a slice or a mask."""
    return Split(*(None if a is None else a[picks] for a in part))


def mapped(data: Dataset, function: Callable[[np.ndarray], np.ndarray]) -> Dataset:
    """The data set with ``function`` of the x of each split."""
    parts = {split: getattr(data, split) for split in SPLITS}
    return data._replace(
        **{split: part._replace(x=function(part.x)) for split, part in parts.items()}
    )


def taken(data: Dataset, rows: Mapping[str, Any]) -> Dataset:
    """The data set with these rows alone of the splits {split: rows}, factors too."""
    parts = {split: picked(getattr(data, split), p) for split, p in rows.items()}
    if data.factors is not None:
        kept = {split: data.factors[split][picks] for split, picks in rows.items()}
        parts["factors"] = {**data.factors, **kept}
    if data.rows is not None:
        known = {s: (data.rows[s][0], data.rows[s][1][p]) for s, p in rows.items()}
        parts["rows"] = {**data.rows, **known}
    return data._replace(**parts)


def peak(data: Dataset) -> float:
    """The range that PSNR counts from, in data units: one number for a data set.

    1 of what is stored in levels, as images are; of float data max - min of the
    training split, so that no outlier among test data changes a table.
    """
    if data.scale != 1 or data.train.x.dtype.kind != "f":
        return 1.0
    return float(np.nanmax(data.train.x) - np.nanmin(data.train.x)) or 1.0


def limits(data: Dataset) -> tuple[float, float]:
    """Lowest and highest value, ``peak`` apart, that a picture is cut to."""
    levels = data.scale != 1 or data.train.x.dtype.kind != "f"
    low = 0.0 if levels else float(np.nanmin(data.train.x))
    return low, low + peak(data)


def in_units(x: np.ndarray, scale: float) -> np.ndarray:
    """Stored x as float32 in data units."""
    return np.asarray(x, np.float32) / np.float32(scale)


def partition(
    name: str, counts: Mapping[str, int], shuffle: bool = True
) -> dict[str, tuple[str, np.ndarray]]:
    """{split: (the given split that it is taken from, its rows there)}, all three.

    ``counts`` has the size of each given split, train among them. A missing valid split
    is the last tenth of train, a missing test split the tenth before it, after a
    shuffle with a fixed seed if ``shuffle``.

    Raises:
      InputError: too few rows to leave one for every split.
    """
    parts = {split: (split, np.arange(count)) for split, count in counts.items()}
    rows = parts["train"][1]
    if shuffle and len(counts) < 3:
        rows = np.random.default_rng(0).permutation(rows)
    tenth = max(1, len(rows) // 10)
    for split in ("valid", "test"):
        if split not in counts:
            parts[split], rows = ("train", rows[-tenth:]), rows[:-tenth]
    parts["train"] = "train", rows
    if not all(len(rows) for _, rows in parts.values()):
        given = ", ".join(f"{count} in {split}" for split, count in counts.items())
        raise config.InputError(
            f"data set '{config.listed([name])}' has {given}: too few, for train, "
            "valid and test each need one"
        )
    return {split: parts[split] for split in SPLITS}


@contextlib.contextmanager
def explained(problem: str, advice: str = "") -> Iterator[None]:
    """Turns whatever a library raises into an InputError of one paragraph."""
    try:
        yield
    except (config.InputError, MemoryError):  # load explains the latter
        raise
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise config.InputError(f"{problem} ({reason[:300]}){advice}") from error


def check_memory(name: str, size: int) -> None:
    """Refuses what needs more bytes than the system says that there are.

    Raises:
      InputError: with both numbers.
    """
    free = machine.memory(free=True)
    if size > free:
        import humanize

        raise config.InputError(
            f"'{name}' takes {humanize.naturalsize(size)} of memory when it is "
            f"decoded, and {humanize.naturalsize(free)} are there; give fewer or "
            "smaller examples"
        )


def check_factors(data: Dataset) -> None:
    """Refuses data whose factors are not known.

    Raises:
      InputError: with what would do.
    """
    if data.factors is None:
        raise config.InputError(
            f"it is not known from which factors the examples of data set "
            f"'{data.name}' were drawn; of sprites_5000 and sprites it is, and of an "
            ".npz with factors (N, F), whole numbers, beside x (N, …)"
        )


def check_likelihood(data: Dataset, likelihood: str) -> None:
    """Refuses a likelihood that the data lie outside of; auto is the data set's own.

    Raises:
      InputError: an unknown likelihood; values outside [0, 1] with bernoulli,
        continuous_bernoulli or categorical; float data with categorical.
    """
    known = config.CHOICES["likelihood"]
    if likelihood not in known:
        raise config.unknown("likelihood", likelihood, known)
    likelihood = data.likelihood if likelihood == "auto" else likelihood
    stored = data.train.x.dtype
    if likelihood in LEVELS and stored.kind == "f":
        raise config.InputError(
            f"likelihood '{likelihood}' counts grey levels, but data set "
            f"'{data.name}' is stored as {stored}; use --likelihood gaussian, or uint8"
        )
    if likelihood not in UNIT or (stored == np.uint8 and data.scale == 255):
        return
    parts = [getattr(data, split).x for split in SPLITS]
    parts = [x for x in parts if len(x) and not np.isnan(x).all()]
    low = min(float(np.nanmin(x)) for x in parts) / data.scale
    high = max(float(np.nanmax(x)) for x in parts) / data.scale
    if low < 0 or high > 1:
        raise config.InputError(
            f"likelihood '{likelihood}' needs values in [0, 1], but data set "
            f"'{data.name}' runs from {low:g} to {high:g}; use --likelihood gaussian"
        )
