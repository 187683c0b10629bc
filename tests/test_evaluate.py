"""Exact means, the PCA baseline, intervals over seeds, the cutting of dispatches."""

import itertools
import math
import types

import numpy as np
import pytest
import scipy.stats
import threadpoolctl
from sklearn import datasets, decomposition

from aejax import data, evaluate, lane, model, pace, results
from aejax import source as sources

RNG = np.random.default_rng(0)
TRIPLES = [
    (1, 1, 1),
    (129, 129, 360),
    (5000, 5000, 10000),
    (1000, 1000, 10000),
    (1, 0, 1),
    (0, 0, 7),
    (2, 2, 1009),
    (1023, 1023, 1025),
    (1024, 1024, 1024),
    (4099, 4099, 8191),
    *(tuple(int(n) for n in RNG.integers(1, 3000, 2)[[0, 0, 1]]) for _ in range(40)),
]


@pytest.mark.parametrize("largest", [1, 7, 100, 1024])
def test_held_batches_hold_every_example_once_in_few_sizes(largest):
    for lengths in TRIPLES:
        batches = lane.held_batches(lengths, largest)
        assert len(batches) <= 4 and max(batches) <= largest, lengths
        seen = np.zeros(sum(lengths), int)
        belongs = np.repeat(np.arange(3), lengths)
        for size, rows in batches.items():
            assert rows.dtype == np.int32 and rows.shape == (len(rows), 2)
            assert (np.diff(rows[:, 1]) >= 0).all(), "splits in order"
            for start, split in rows:
                seen[start : start + size] += 1
                assert (belongs[start : start + size] == split).all()
        assert (seen == 1).all(), lengths
        for split, n in enumerate(lengths):
            pieces = sum((rows[:, 1] == split).sum() for rows in batches.values())
            fewest = max(math.ceil(n / largest), 4 * n / max(min(largest, n), 1))
            assert pieces <= fewest, "batches are not tiny"


def test_a_common_divisor_makes_one_size():
    assert set(lane.held_batches((1000, 1000, 10000), 1024)) == {1000}
    assert set(lane.held_batches((5000, 5000, 10000), 1024)) == {1000}
    assert set(lane.held_batches((129, 129, 360), 1024)) == {129, 360}


def test_three_splits_of_any_lengths_make_at_most_two_sizes_each():
    for _ in range(50):
        lengths = tuple(int(n) for n in RNG.integers(1, 5000, 3))
        batches = lane.held_batches(lengths, 128)
        assert len(batches) <= 6
        assert sum(s * len(rows) for s, rows in batches.items()) == sum(lengths)


def test_interval_is_student_t_at_95_percent():
    for n in (2, 3, 10):
        values = RNG.normal(2.0, 3.0, n)
        mean, low, high = results.interval(list(values))
        want = scipy.stats.t.interval(
            0.95, n - 1, values.mean(), scipy.stats.sem(values)
        )
        np.testing.assert_allclose((low, high), want, rtol=1e-9)
        np.testing.assert_allclose(mean, values.mean(), rtol=1e-12)
    assert results.interval([4.0]) == (4.0, None, None)
    assert results.interval([4.0, 4.0]) == (4.0, 4.0, 4.0)
    columns = RNG.normal(size=(5, 2, 3))
    found = np.array(results.interval(columns))  # over the first axis
    np.testing.assert_allclose(found[:, 1, 2], results.interval(columns[:, 1, 2]))


def test_the_interval_of_a_positive_quantity_stays_positive():
    mean, low, high = results.interval([8.0, 108.0], positive=True)
    assert mean == 58 and 0 < low < 58 < high
    np.testing.assert_allclose(low * high, 58**2)
    half = scipy.stats.t.ppf(0.975, 1) * 50
    np.testing.assert_allclose(high, 58 * np.exp(half / 58))
    for mixed in ([0.0, 1.0, 2.0], [-1.0, 3.0]):
        assert results.interval(mixed, positive=True) == results.interval(mixed)


def test_a_narrow_interval_is_the_same_on_a_log_scale():
    values = 5 + 1e-4 * RNG.normal(size=6)
    plain, log = results.interval(values), results.interval(values, positive=True)
    np.testing.assert_allclose(np.subtract(log, 5), np.subtract(plain, 5), rtol=1e-3)


@pytest.mark.parametrize(("spread", "least"), [(0.3, 0.94), (1.0, 0.93)])
def test_the_interval_of_a_positive_quantity_holds_the_mean(spread, least):
    """Of 2 draws from a log-normal: as often as it should, where the plain does not."""
    draws = np.exp(spread * np.random.default_rng(8).normal(size=(2, 20_000)))
    mean, held = np.exp(spread**2 / 2), []
    for positive in (True, False):
        _, low, high = map(np.array, results.interval(draws, positive))
        held.append(((low < mean) & (mean < high)).mean())
    assert held[0] > least and held[0] > held[1]
    assert (low < 0).mean() > 0.7, "the plain one is mostly of no use"


def row(k, seed, mse, *, lost=False, split="test", **more):
    base = {"latent_dim": k, "seed": seed, "objective": "ae", "lane": 10 * k + seed}
    return base | {"split": split, "diverged": lost, "mse": mse} | more


def test_summary_averages_over_seeds_and_counts_the_diverged():
    rows = [
        row(2, 0, 1.0, kl=5.0),
        row(2, 1, 3.0, kl=None),
        row(2, 2, None, lost=True, kl=9.0),
        row(2, 0, 99.0, split="valid", kl=9.0),
        row(4, 0, 0.5, kl=None),
        row(8, 0, None, lost=True),
    ]
    axes = ("objective", "latent_dim", "seed")
    parameters = {20: 100, 21: 100, 22: 100, 40: 200, 80: 400}
    two, four, eight = results.summary(rows, axes, ("mse", "kl"), parameters)
    assert "seed" not in two
    assert list(two)[:2] == ["objective", "latent_dim"]
    assert (two["n_seeds"], two["diverged"], two["parameters"]) == (2, 1, 100)
    assert (two["mse_mean"], two["kl_mean"]) == (2.0, 5.0)
    want = 2 * np.exp(np.divide(scipy.stats.t.interval(0.95, 1, 0.0, 1.0), 2))
    np.testing.assert_allclose((two["mse_low"], two["mse_high"]), want)
    assert two["kl_low"] is None and two["kl_high"] is None
    assert (four["latent_dim"], four["n_seeds"], four["parameters"]) == (4, 1, 200)
    assert four["mse_mean"] == 0.5 and four["mse_low"] is four["kl_mean"] is None
    assert (eight["n_seeds"], eight["diverged"], eight["mse_mean"]) == (0, 1, None)


def test_metrics_that_are_never_negative_have_intervals_that_are_not():
    names = ("mse", "mse_k4", "kl", "kl_2", "loss", "nll", "psnr", "neg_elbo")
    rows = [row(2, s, v) | dict.fromkeys(names, v) for s, v in ((0, 8.0), (1, 108.0))]
    (line,) = results.summary(rows, ("latent_dim", "seed"), names, {20: 1, 21: 1})
    below = {n for n in names if line[f"{n}_low"] < 0}
    assert below == {"loss", "nll", "psnr", "neg_elbo"}


def make_source(train, test, *, scale=1.0, held_scale=None):
    """A Source of (N, *S) arrays whose train and valid slices are no test data."""
    return sources.Source(
        train=model.Batch(train),
        held=model.Batch(np.concatenate([0 * test[:3], test])),
        lengths=(1, 2, len(test)),
        scale=scale,
        held_scale=held_scale or scale,
        threshold=None,
        blocks=1,
        output_bias=None,
        peak=1.0,
    )


DIGITS = datasets.load_digits().images.astype(np.uint8)[..., None]
TRAIN, TEST = DIGITS[:1200], DIGITS[1200:]


def by_sklearn(train, test, k):
    train, test = (a.reshape(len(a), -1).astype(np.float64) for a in (train, test))
    fit = decomposition.PCA(k, svd_solver="full").fit(train)
    return np.square(test - fit.inverse_transform(fit.transform(test))).mean()


def test_pca_equals_sklearn_on_digits():
    found = evaluate.pca_mse(make_source(TRAIN, TEST, scale=16.0), [1, 2, 5, 64, 100])
    assert list(found) == [1, 2, 5, 64, 100]
    for k in (1, 2, 5):
        want = by_sklearn(TRAIN / 16, TEST / 16, k)
        np.testing.assert_allclose(found[k], want, rtol=1e-8)
    assert found[64] == 0 and found[100] == found[64]


def test_pca_equals_numpys_svd_over_several_blocks():
    rng = np.random.default_rng(3)
    x = (rng.normal(size=(80_000, 30)) @ rng.normal(size=(30, 30))).astype(np.float32)
    train, test = x[:40_000], x[40_000:].astype(np.float64)
    found = evaluate.pca_mse(make_source(train, x[40_000:]), [1, 7, 29, 30])
    mean = train.mean(0, dtype=np.float64)
    axes = np.linalg.svd(train - mean, full_matrices=False)[2]
    for k in (1, 7, 29):
        d = test - mean
        want = np.square(d - d @ axes[:k].T @ axes[:k]).mean()
        np.testing.assert_allclose(found[k], want, rtol=1e-8)
    assert found[30] == 0


@pytest.mark.parametrize("binarized", [False, True])
def test_pca_of_one_block_and_of_many_are_equal(monkeypatch, binarized):
    """Draws of binarised training data are the same however they are cut."""
    source = make_source(TRAIN, TEST, scale=16.0)
    whole = evaluate.pca_mse(source, [1, 5], binarized)
    cut = lambda x: (b.reshape(len(b), -1) for b in np.split(x * 1.0, 24))  # noqa: E731
    monkeypatch.setattr(evaluate, "_blocks", lambda x: cut(x[: len(x) // 24 * 24]))
    short = source._replace(held=model.Batch(source.held.x[: 3 + 576]))
    again = evaluate.pca_mse(short, [1, 5], binarized)
    monkeypatch.undo()
    assert again == evaluate.pca_mse(short, [1, 5], binarized) != whole


def signs(spreads):
    """Every row of signs, times these spreads: PCA at k leaves the smaller ones."""
    rows = itertools.product((-1, 1), repeat=len(spreads))
    return np.float32(list(rows)) * np.float32(spreads)


def test_pca_of_one_large_column_keeps_the_small_ones():
    """Column 1 spreads 1e8, 5 others 1: the mean of what is left is (6 - k) / 6."""
    x = signs([1e8, 1, 1, 1, 1, 1])
    found = evaluate.pca_mse(make_source(x, x), [1, 2, 5, 6])
    for k in (1, 2, 5):
        np.testing.assert_allclose(found[k], (6 - k) / 6, rtol=1e-6)
    assert found[6] == 0


def test_pca_of_one_huge_value_leaves_the_other_columns():
    """It takes the one component; of the others, far smaller, all is left."""
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(2, 300, 6)).astype(np.float32)
    train[5, 2] = 1e15
    centred = train - train.mean(0, dtype=np.float64, keepdims=True)
    axis = np.linalg.svd(centred, full_matrices=False)[2][:1]
    rest = test - train.mean(0, dtype=np.float64, keepdims=True)
    left = np.square(rest - rest @ axis.T @ axis).mean()
    assert left == pytest.approx(5 / 6, 0.1)
    found = evaluate.pca_mse(make_source(train, test), [1, 6])
    assert found[1] == pytest.approx(left, 1e-6) and found[6] == 0
    train[5, 2] = 1e30  # what is left of the others is no number of float64
    assert evaluate.pca_mse(make_source(train, test), [1, 6]) == {1: None, 6: 0}


@pytest.mark.parametrize("exact", [4096, 1])
def test_pca_of_data_whose_squares_are_no_float32(monkeypatch, exact):
    monkeypatch.setattr(evaluate, "_EXACT", exact)
    x = signs([4e30, 3e30, 2e30, 1e30])
    found = evaluate.pca_mse(make_source(x, x), [1, 2, 3])
    np.testing.assert_allclose(found[1], 14e60 / 4, rtol=1e-6)
    np.testing.assert_allclose(found[2], 5e60 / 4, rtol=1e-6)
    np.testing.assert_allclose(found[3], 1e60 / 4, rtol=1e-6)


def test_pca_has_the_same_digits_on_any_number_of_threads():
    source, found = make_source(TRAIN, TEST, scale=16.0), []
    for threads in (1, 2):
        with threadpoolctl.threadpool_limits(threads, user_api="blas"):
            found.append(evaluate.pca_mse(source, [1, 8, 32, 63, 64]))
    assert found[0] == found[1]


def test_pca_of_a_large_split_is_fitted_on_examples_all_over_it(monkeypatch):
    source = make_source(TRAIN, TEST, scale=16.0)
    monkeypatch.setattr(evaluate, "_MOST", TRAIN.size // 3)
    (found,) = evaluate.pca_mse(source, [5]).values()
    np.testing.assert_allclose(found, by_sklearn(TRAIN[::3] / 16, TEST / 16, 5), 1e-8)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_pca_of_float_data_does_not_depend_on_their_offset(offset):
    """The covariance is the small difference of two large moments."""
    rng = np.random.default_rng(1)
    mixing = rng.normal(size=(12, 12)) * np.logspace(0, -2, 12)[:, None]
    x = rng.normal(size=(3000, 12)) @ mixing
    train, test = (x + offset).astype(np.float32)[:2500], (x + offset)[2500:]
    test = test.astype(np.float32)
    found = evaluate.pca_mse(make_source(train, test), [1, 4, 8])
    for k, got in found.items():
        np.testing.assert_allclose(got, by_sklearn(train, test, k), rtol=1e-6)


def test_pca_of_large_data_is_scikit_learns_randomised_one(monkeypatch):
    monkeypatch.setattr(evaluate, "_EXACT", 10)
    found = evaluate.pca_mse(make_source(TRAIN, TEST, scale=16.0), [1, 5, 300])
    for k in (1, 5):
        want = by_sklearn(TRAIN / 16, TEST / 16, k)
        np.testing.assert_allclose(found[k], want, rtol=1e-2)
    assert 0 <= found[300] < 1e-5


@pytest.mark.parametrize("scale", [10.0, 1.0])
def test_pca_of_data_binarised_at_each_step_is_fitted_on_draws(scale):
    """Of x the second element varies more; of draws from it the first does."""
    x = np.tile(np.array([[5, 0], [5, 2]]), (1000, 1))
    train = x.astype(np.uint8) if scale == 10 else (x / 10).astype(np.float32)
    test = (np.random.default_rng(5).random(x.shape) < x / 10).astype(np.uint8)
    source = make_source(train, test, scale=scale, held_scale=1.0)
    drawn, plain = (evaluate.pca_mse(source, [1], b)[1] for b in (True, False))
    np.testing.assert_allclose(plain, 0.25 / 2, rtol=0.05)
    np.testing.assert_allclose(drawn, 0.09 / 2, rtol=0.2)


def test_psnr_is_ten_decibels_per_tenth_of_the_mse():
    assert evaluate.psnr(1.0, 1.0) == 0.0
    assert evaluate.psnr(0.01, 1.0) == pytest.approx(20.0)
    assert evaluate.psnr(0.01, 10.0) == pytest.approx(40.0)
    assert evaluate.psnr(0.0, 1.0) == math.inf


def test_pca_of_few_examples_stops_at_what_they_span():
    train, test = np.split(RNG.normal(size=(46, 30)).astype(np.float32), [6])
    found = evaluate.pca_mse(make_source(train, test), [4, 5, 6, 30])
    centred = train.astype(np.float64) - train.mean(0, dtype=np.float64)
    axes = np.linalg.svd(centred)[2][:5]  # six examples less their mean
    rest = test - train.mean(0, dtype=np.float64)
    want = np.square(rest - rest @ axes.T @ axes).mean()
    for k in (5, 6, 30):
        np.testing.assert_allclose(found[k], want, rtol=1e-8)
    assert found[4] > found[5]


def test_peak_is_one_for_images_and_the_range_of_float_data():
    def peak(train, scale=1.0):
        """Of the one Source and of the tasks, whatever an outlier among test data."""
        test = 100 * train[:2]
        parts = (data.Split(a) for a in (train, test, test))
        found = data.Dataset("x", *parts, "gaussian", scale)
        assert sources.source(found, "none", 1 << 30).peak == data.peak(found)
        return data.peak(found)

    assert peak(TRAIN, 16.0) == 1.0
    assert peak((TRAIN > 7).astype(np.uint8)) == 1.0
    x = np.linspace(-2, 3, 40, dtype=np.float32).reshape(10, 4)
    assert peak(x) == pytest.approx(5.0)
    assert peak(0.1 * x + 0.2) == pytest.approx(0.5), "in [0, 1/2]: cases, 12"
    assert peak(0 * x) == 1.0


def test_rows_of_an_evaluation_have_every_column_and_no_infinity():
    lanes = [
        types.SimpleNamespace(index=3 + i, columns={"latent_dim": k, "seed": 0})
        for i, k in enumerate((2, 4))
    ]
    source = make_source(TRAIN, TEST, scale=16.0)._replace(lengths=(3, 0, 597))
    recipe = types.SimpleNamespace(epoch_steps=10)
    group = types.SimpleNamespace(
        source=source, lanes=lanes, recipe=recipe, counts_bits=True
    )
    metrics = np.array([[[0.1, 0.01, 64.0]] * 3, [[np.nan] * 3] * 3], np.float32)
    out = results.rows(
        group,
        ("loss", "mse", "neg_elbo"),
        metrics,
        np.array([False, True]),
        step=30,
        splits=("train", "valid"),
        every=("loss", "mse", "psnr", "kl", "bits_per_dim"),
    )
    assert [(r["lane"], r["split"]) for r in out] == [(3, "train"), (4, "train")]
    assert list(out[0]) == list(out[1])
    assert out[0]["epoch"] == 3 and out[0]["step"] == 30 and out[0]["latent_dim"] == 2
    assert np.float32(out[0]["loss"]) == np.float32(0.1) and out[0]["kl"] is None
    assert out[0]["psnr"] == pytest.approx(20.0) and out[0]["diverged"] is False
    np.testing.assert_allclose(out[0]["bits_per_dim"], 1 / np.log(2), rtol=1e-6)
    assert [out[1][n] for n in ("loss", "mse", "psnr", "bits_per_dim")] == [None] * 4
    assert out[1]["diverged"] is True


@pytest.mark.parametrize("seed", range(150))
def test_pace_stops_at_unit_ends_within_bounds_and_in_time(seed):
    """A run of any shape and speed, one goal after another, as ``execute`` asks."""
    rng = np.random.default_rng(seed)
    pass_steps = int(rng.integers(1, 400))
    unit = -(-pass_steps // -(-pass_steps // 64))  # as Recipe.unit
    rounds = int(rng.integers(1, 9))
    speed = 10.0 ** rng.uniform(-7, 1.5)  # seconds per round and step
    timer = pace.Pace(unit, pass_steps, rounds)
    ends = {
        p * pass_steps + u for p in range(40) for u in (*range(0, pass_steps, unit),)
    }
    step, dispatches = 0, 0
    for goal in np.cumsum(rng.integers(1, 5, 8)) * pass_steps:
        while step < goal:
            stop = timer.next_stop(step, int(goal))
            assert step < stop <= goal and stop in ends
            assert isinstance(stop, int)
            whole = speed * rounds * (stop - step)
            shortest = stop - step <= unit
            assert shortest or dispatches < 2 or whole <= 1.001 * pace.SECONDS
            low = 0
            while low < rounds:
                some = timer.next_rounds(low, stop - step)
                assert some.start == low and some.step == 1
                assert low < some.stop <= rounds
                spent = speed * len(some) * (stop - step)
                shortest = len(some) == 1 and stop - step <= unit
                first = dispatches < 2
                assert shortest or first or spent <= 1.001 * pace.SECONDS
                timer.learn(spent, len(some), stop - step)
                low, dispatches = some.stop, dispatches + 1
            step = stop
    assert step == goal


def test_pace_grows_to_the_seconds_it_aims_at():
    timer = pace.Pace(unit=10, pass_steps=10, rounds=1)
    assert timer.next_stop(0, 1000) == 10, "a careful start"
    timer.learn(0.1, 1, 10)
    want = pace.SECONDS / 0.01
    assert timer.next_stop(10, 10_000) == 10 + want
    assert timer.next_stop(10, 10 + int(want)) == 10 + want
    timer.learn(0.0, 1, 10)  # a clock that did not move
    assert timer.next_stop(0, 10**9) > 0
    assert timer.next_rounds(0, 0.0) == range(0, 1)
