"""Series cut into windows: by time, never over a border, a gap or a missing value."""

import json

import numpy as np
import pandas as pd
import pytest

from aejax import data
from tests.data.common import SPLITS, refused

RNG = np.random.default_rng(0)
COUNT = 400
EVEN = pd.DataFrame(
    {
        "time": pd.date_range("2024-03-01", periods=COUNT, freq="10min"),
        "heat": np.arange(COUNT) + RNG.normal(0, 0.1, COUNT),  # says which step it is
        "on": RNG.random(COUNT) < 0.5,
        "odd": np.where(np.isin(np.arange(COUNT), [30, 31, 390]), "bad", "good"),
    }
)


def write(frame, name="s.csv"):
    frame.to_csv(name, index=False)


def given(d, split):
    """(N, T, F): the windows of a split in the user's units."""
    return d.standard.inverse(getattr(d, split).x)


def plain(values, edges, window, stride):
    """Windows of values (T, …) by a plain loop; none crosses an edge."""
    out, edges = [], [0, *edges, len(values)]
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        last = None
        for start in range(low, high, stride):
            if start + window <= high:
                out.append(values[start : start + window])
                last = start
        if last is not None and last + window < high:
            out.append(values[high - window : high])
    return np.array(out)


@pytest.mark.parametrize(("window", "stride"), [(16, None), (16, 5), (20, 20), (7, 1)])
def test_windows_are_those_of_a_plain_loop(places, window, stride):
    broken = EVEN.drop(range(100, 104)).reset_index(drop=True)  # a gap in train
    broken.loc[200, "heat"] = np.nan
    write(broken)
    ask = f",stride={stride}" if stride else ""
    d = data.load(f"s.csv@window={window},label=odd{ask}")
    total = len(broken)
    borders = {"train": (0, 316), "valid": (316, 356), "test": (356, total)}
    usual = {"train": window // 2, "valid": window // 8, "test": window // 8}
    for split, (low, high) in borders.items():
        part = broken[low:high]
        step = stride or max(1, usual[split])
        edges = [e - low for e in (100, 200, 201) if low < e < high]
        want = plain(part[["heat", "on"]].to_numpy(float), edges, window, step)
        want = want[np.isfinite(want).all((1, 2))]
        np.testing.assert_allclose(given(d, split), want, atol=1e-4)
        odd = plain((part["odd"] == "bad").to_numpy(), edges, window, step)
        origin, rows = d.rows[split]
        assert origin == "train" and (getattr(d, split).x.dtype == np.float32)
        np.testing.assert_allclose(broken.heat[rows], want[:, 0, 0])
        if split != "train":
            assert list(getattr(d, split).y) == odd.any(1).astype(int).tolist()
    assert d.labels == ("good", "bad") and d.train.y.sum() > 0
    assert d.likelihood == "gaussian" and [c.name for c in d.columns] == ["heat", "on"]
    assert "gaps: 1, first in row 101" in " ".join(d.notes)
    assert "1 steps lack values, of heat, row 201" in " ".join(d.notes)


def test_units_are_those_of_the_steps_of_train(places):
    write(EVEN)
    d = data.load("s.csv@window=16,drop=odd")
    heat = EVEN.heat[:320]
    np.testing.assert_allclose(d.standard.center, [heat.mean()])
    np.testing.assert_allclose(d.standard.spread, [heat.std(ddof=0)])
    assert set(np.unique(d.train.x[..., 1])) == {0, 1}, "booleans stay"
    back = data.as_given(d, d.valid.x)
    assert list(back.columns) == ["heat", "on"]
    np.testing.assert_allclose(back.heat[:16], EVEN.heat[320:336], rtol=1e-4)
    more = data.load("s.csv@window=16,drop=odd,valid=0.2,test=0.5")
    assert given(more, "test")[0, 0, 0] == pytest.approx(EVEN.heat[200], abs=1e-3)
    assert d.train.y is None and d.num_classes == 0


def test_the_label_may_be_short_and_choose_windows(places):
    write(EVEN)
    d, short = (data.load(f"s.csv@window=16{w}") for w in (",label=odd", ":odd"))
    np.testing.assert_array_equal(d.train.x, short.train.x)
    assert d.series.strange.sum() == 3 and set(d.train.y) == {0, 1}
    normal = data.load("s.csv@window=16:odd:good")
    assert set(normal.train.y) == {0} and len(normal.test.x) == len(d.test.x)
    assert (normal.rows["train"][1] == d.rows["train"][1][d.train.y == 0]).all()


@pytest.mark.parametrize(
    "times",
    [
        EVEN.time.dt.strftime("%d/%m/%Y %H:%M"),
        EVEN.time.dt.strftime("%m/%d/%Y %H:%M"),
        EVEN.time.dt.strftime("%Y-%m-%dT%H:%M:%S+02:00"),
        pd.Series(pd.date_range("1950-01-01", periods=COUNT, freq="MS")),
        pd.date_range("1950-01-01", periods=COUNT, freq="MS").strftime("%Y%m%d"),
        np.arange(COUNT) * 0.5 + 7,
    ],
)
def test_times_of_many_forms_are_even(places, times):
    write(EVEN.assign(time=times, odd=0.5))
    d = data.load("s.csv@window=16")
    assert d.series.clock.column == "time" and not d.series.clock.breaks.any()
    assert "time is time: " in d.notes[0] and d.series.names == ("heat", "on", "odd")


@pytest.mark.parametrize("end", [".parquet", ".npy", ".npz"])
def test_other_files_give_the_same_windows(places, end):
    x, name = EVEN[["heat", "on"]].to_numpy(float), f"s{end}"
    if end == ".parquet":
        EVEN.set_index("time").to_parquet(name)
    if end == ".npy":
        np.save(name, x)
    if end == ".npz":
        np.savez(name, x=x, y=EVEN.odd.to_numpy(str))
    write(EVEN)
    d = data.load(f"{name}@window=16" + ",drop=odd" * (end == ".parquet"))
    want = data.load("s.csv@window=16:odd")
    np.testing.assert_allclose(d.train.x, want.train.x, atol=1e-6)
    assert (d.train.y is not None) == (end == ".npz")


def changed(rows, column, value):
    frame = EVEN.astype({column: object})
    frame.loc[rows, column] = value
    return frame


COARSE = pd.concat([EVEN[:300:2], EVEN[300:]])


@pytest.mark.parametrize(
    ("frame", "ask", "message"),
    [
        (
            COARSE,
            "window=8",
            "column 'time' of 's.csv' has mixed time steps: 20 minutes .150 times., 10 "
            "minutes .99 times.; row 152, 2024-03-03 02:10:00, is the first .*resample"
            ".'20min', on='time'",
        ),
        (EVEN[::-1], "window=8", "'time' of 's.csv' does not rise: .* in row 2 .*sort"),
        (changed(6, "time", "soon"), "window=8", "'soon' in row 7, which is no time"),
        (changed(6, "time", None), "window=8", "1 missing values, the first in row 7"),
        (changed(6, "heat", "hot"), "window=8", "numbers but for 1 .*'hot' in row 7"),
        (changed(6, "heat", np.inf), "window=8", "'heat' .*is inf in row 7"),
        (EVEN, "window=8", "'odd' of 's.csv' holds strings, 'good' in row 1.*drop=odd"),
        (EVEN, "window=8,label=heat", "label column 'heat' .*400 different numbers"),
        (EVEN.assign(odd="a"), "window=8,label=odd", "'odd' of 's.csv' has 1 values"),
        (EVEN.assign(b=EVEN.time), "window=8", "2 columns of times, time, b; say"),
        (EVEN, "window=60,label=odd", "40 in valid, 40 in test; window=40 would fit"),
        (EVEN, "window=1", "window of 's.csv' is '1'; it must be a whole number"),
        (EVEN, "window=8,stride=x", "stride of 's.csv' is 'x'"),
        (EVEN, "window=8,test=0.95", "leave no step to train on"),
        (EVEN, "windows=8", "cannot be asked of 's.csv': .*window=STEPS"),
        (EVEN, "window=8,width=9", "cannot be asked of 's.csv': .*stride=STEPS"),
        (EVEN[:0], "window=8", "'s.csv' has 0 rows; a series has"),
        (EVEN[["time"]], "window=8", "no column of numbers beside its times"),
    ],
)
def test_bad_series_are_refused_by_row(places, frame, ask, message):
    write(frame)
    refused(f"s.csv@{ask}", message)


def test_mixed_steps_are_cured_by_the_words(places):
    """The line of the message, run as it is printed."""
    for frame in (COARSE, COARSE.assign(time=COARSE.index * 2.5)):
        write(frame.drop(columns="odd"))
        message = refused("s.csv@window=8", "has mixed time steps")
        line = message.partition("in Python: ")[2].partition("; steps without")[0]
        exec(line, {"pandas": pd, "numpy": np})
        assert data.load("even.csv@window=8").train.x.shape[1:] == (8, 2)


def test_where_a_series_is_meant_it_is_said(places):
    write(EVEN)
    np.save("s.npy", EVEN.heat)
    refused("s.csv", "of a series say 's.csv@window=128'")
    refused("s.npy", "of one series .T,. say FILE@window=128")
    np.save("s.npy", np.zeros((4, 5, 6)))
    refused("s.npy@window=2", "holds x .4, 5, 6.; a series is one x")


@pytest.mark.shared
def test_real_series_keep_the_order_of_their_files(shared_data):
    """Clocks that were changed: times that repeat, and an hour that comes twice."""
    folder, breaks = shared_data / "series", {}
    for name in json.loads((folder / "windows.json").read_text()):
        d = data.load(f"{folder / name}@window=128,stride=64")
        values = pd.read_csv(folder / name).value.to_numpy()
        np.testing.assert_allclose(d.series.values[:, 0], values)
        rows = np.flatnonzero(d.series.clock.breaks) + 1
        breaks[name[:3]] = len(rows), rows[:1].tolist()
        for split in SPLITS:
            for first in d.rows[split][1]:
                assert not ((first < rows) & (rows < first + 128)).any()
    assert breaks == {"art": (0, []), "ec2": (14, [556]), "mac": (1, [10149])}
