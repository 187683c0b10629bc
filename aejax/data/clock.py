"""The times of a series' steps: the column that has them, their step, its breaks."""

import datetime
import re
import warnings
from typing import Any, NamedTuple

import numpy as np

from aejax import config
from aejax.data import columns

UNSTEADY = 0.1  # share of the differences, at most, that are no step; and of a step
_NAMES = re.compile(
    r"(?:.*[_\W])?(?:time|times|timestamps?|date|datetime|day|epoch|unix|t|ts|ds)"
    r"(?:[_\W].*)?",
    re.I,
)

_DAYS = 1900_01_01, 2100_12_31  # whole numbers that are days: 20140401


class Clock(NamedTuple):
    """When the T steps of a series are.

    times: (T,) datetime64[ns], in UTC where the file has offsets, or float64.   step:
    the usual difference, in nanoseconds or their unit.   breaks: (T - 1,) bool, where
    the next row is not one step later.   column: its name; "" of rows that are counted.
    """

    times: np.ndarray
    step: float = 1.0
    breaks: np.ndarray = np.zeros(0, bool)
    column: str = ""

    def words(self, difference: float) -> str:
        """A difference of times: "5 minutes", or the number."""
        if self.times.dtype.kind != "M":
            return f"{difference:g}"
        import humanize

        size = datetime.timedelta(microseconds=abs(difference) / 1e3)
        return ("-" if difference < 0 else "") + humanize.precisedelta(
            size, format="%g"
        )

    def say(self, row: int) -> str:
        """The time of a row, as text."""
        if self.times.dtype.kind != "M":
            return f"{self.times[row]:.12g}"
        return str(self.times[row].astype("datetime64[s]")).replace("T", " ")


def column(name: str, frame: Any, asked: str | None) -> str | None:
    """The column of times: the one that is asked for, or holds dates, or rises and is
    called like one; None if there is none.

    Raises:
      InputError: there are several, or none of this name.
    """
    if asked:
        if asked not in frame.columns:
            raise config.unknown(f"column of '{name}'", asked, frame.columns)
        return asked
    dates = [c for c in frame.columns if _is_dates(frame[c], c)]
    numbers = [
        c
        for c in frame.columns
        if frame[c].dtype.kind in "iuf" and _NAMES.fullmatch(c) and _rises(frame[c])
    ]
    some = dates or numbers
    if len(some) > 1:
        raise config.InputError(
            f"'{name}' has {len(some)} columns of times, {config.listed(some)}; say "
            f"which, time={some[0]}, and leave the others out, drop="
            f"{'+'.join(some[1:])}"
        )
    return some[0] if some else None


def _is_dates(series: Any, name: str) -> bool:
    if series.dtype.kind == "M" or hasattr(series.dtype, "tz"):
        return True
    words = [v for v in series.head(100).dropna() if isinstance(v, str)]
    if not words:
        return False
    dated = sum(bool(columns.DATE.fullmatch(word.strip())) for word in words)
    return 2 * dated > len(words) or bool(
        _NAMES.fullmatch(name) and not all(map(columns.is_number, words))
    )


def _rises(series: Any) -> bool:
    return bool(np.median(np.diff(series.dropna().to_numpy(float)[:10_000])) > 0)


def read(name: str, frame: Any, where: str | None) -> Clock:
    """The clock of a frame's column ``where``, whose rows stand in the order of time.

    A step is what is within a tenth of the median difference: months are. Rows that are
    later or earlier than a step are breaks.

    Raises:
      InputError: cells that are no times; times that fall; mixed steps; with the row,
        and the line of pandas that cures it.
    """
    if where is None:
        count = len(frame)
        return Clock(np.arange(float(count)), breaks=np.zeros(max(count - 1, 0), bool))
    what = f"column '{config.listed([where])}' of '{name}'"
    columns.missing(
        what, frame[where], f"or name another column: time=COLUMN of {name}"
    )
    times = _times(what, frame[where])
    gaps = np.diff(times).astype(float)
    usual = float(np.median(gaps)) if len(gaps) else 1.0
    clock = Clock(times, usual, abs(gaps - usual) > UNSTEADY * abs(usual), where)
    if usual <= 0:
        row = int(np.argmax(gaps <= 0)) + 1
        raise config.InputError(
            f"{what} does not rise: {clock.say(row)} in row {row + 1} comes after "
            f"{clock.say(row - 1)}, and so it is of {(gaps <= 0).mean():.0%} of the "
            f"rows; of one series sort them, {_frame(name)}.sort_values({where!r})"
            f".to_csv('sorted.csv', index=False); of several series in one file save "
            "one alone"
        )
    if clock.breaks.mean() > UNSTEADY:
        raise config.InputError(_mixed(name, what, clock, gaps))
    return clock


def _frame(name: str) -> str:
    return f"in pandas read_csv({name!r})"


def _times(what: str, series: Any) -> np.ndarray:
    """(T,) datetime64[ns] or float64."""
    import pandas as pd

    ways = {"format": "ISO8601"}, {"dayfirst": False}, {"dayfirst": True}
    if series.dtype.kind in "iuf":
        if not (series.dtype.kind in "iu" and series.between(*_DAYS).all()):
            return series.to_numpy(np.float64)
        series, ways = series.astype(str), ({"format": "%Y%m%d"},)
    # ISO 8601, else the month first, else the day first: which makes most steps even.
    best, high = None, (-1, -1.0)
    for how in ways:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it guesses is tried, and counted
            read = pd.to_datetime(series, errors="coerce", utc=True, **how)
        if read.notna().all() and "format" in how:
            return read.dt.tz_localize(None).to_numpy("datetime64[ns]")
        gaps = read.diff()
        rank = int(read.notna().sum()), float((gaps == gaps.median()).mean())
        if rank > high:
            best, high = read, rank
    if (empty := best.isna()).any():
        row = int(empty.to_numpy().argmax())
        raise config.InputError(
            f"{what} is '{config.listed([series.iloc[row]])}' in row {row + 1}, which "
            "is no time; write them all as 2014-04-01 00:05:00, or as numbers, or name "
            "another column: time=COLUMN"
        )
    return best.dt.tz_localize(None).to_numpy("datetime64[ns]")


def _mixed(name: str, what: str, clock: Clock, gaps: np.ndarray) -> str:
    """The paragraph of a series of several steps, and how to make it one."""
    sizes, counts = np.unique(gaps, return_counts=True)
    order = [i for i in np.argsort(-counts)[:3] if counts[i] > UNSTEADY * len(gaps)]
    order = order or [int(counts.argmax())]
    some = [f"{clock.words(sizes[i])} ({counts[i]:,} times)" for i in order]
    # The longest of those that are usual: of a shorter one most steps would be empty.
    step = max(sizes[i] for i in order if sizes[i] > 0)
    row = int(clock.breaks.argmax()) + 1
    more = f" and {len(sizes) - len(some):,} others" * (len(sizes) > len(some))
    text = (
        f"{what} has mixed time steps: {', '.join(some)}{more}; row {row + 1}, "
        f"{clock.say(row)}, is the first that is not {clock.words(clock.step)} after "
        "the one before. A window needs one step from row to row: "
    )
    where = clock.column
    if clock.times.dtype.kind != "M":
        return (
            f"{text}in Python: frame = pandas.read_csv({name!r}); t = numpy.arange("
            f"{clock.times[0]:g}, {clock.times[-1]:g}, {step:g}); "
            f"pandas.DataFrame({{c: numpy.interp(t, frame[{where!r}], frame[c]) for c "
            "in frame}).to_csv('even.csv', index=False)"
        )
    import pandas as pd

    freq = pd.tseries.frequencies.to_offset(pd.Timedelta(step)).freqstr
    return (
        f"{text}in Python: pandas.read_csv({name!r}, parse_dates=[{where!r}])"
        f".resample({freq!r}, on={where!r}).mean(numeric_only=True)"
        ".to_csv('even.csv'); steps without a value stay empty, and are gaps"
    )
