"""Representation metrics: codes whose score is known, and sums done by hand."""

import itertools
import math

import numpy as np
import pytest

from aejax import config
from aejax.evaluate import disentanglement as r

SIZES = (3, 4, 6)
GRID = np.array(list(itertools.product(*map(range, SIZES))) * 20)  # (1440, 3)
NOISE = np.random.default_rng(0).normal(size=(len(GRID), 8))
METRICS = {
    "mig": r.mig,
    "sap": r.sap,
    "factor_vae": r.factor_vae_score,
    "disentanglement": lambda z, v: r.dci(z, v).disentanglement,
    "completeness": lambda z, v: r.dci(z, v).completeness,
}
CHANCE = dict.fromkeys(METRICS, 0.0) | {"factor_vae": 1 / 3}
each = pytest.mark.parametrize("name", METRICS)


def rotated():
    """Every latent an equal mixture of two factors of one size."""
    v = GRID[:, 1:] % 4
    return v @ np.array([[1, 1], [1, -1]]) + 0.0, v


@each
def test_a_latent_for_each_factor_is_perfect(name):
    z = GRID[:, ::-1] * (1.0, -5.0, 0.1) + 7
    assert METRICS[name](z, GRID) == pytest.approx(1, abs=1e-9)


@each
def test_latents_that_know_nothing_change_nothing(name):
    z = np.column_stack([np.full(len(GRID), 0.1), GRID, NOISE[:, 0]])
    v = np.column_stack([GRID, np.full(len(GRID), 5)])  # nor does a constant factor
    assert METRICS[name](z, v) == pytest.approx(1, abs=0.03)


@each
def test_noise_scores_what_chance_does(name):
    assert METRICS[name](NOISE, GRID) == pytest.approx(CHANCE[name], abs=0.05)


@each
def test_constant_codes_score_nothing(name):
    assert METRICS[name](np.full((len(GRID), 3), 0.1), GRID) == 0


@each
def test_a_rotated_code_is_not_disentangled(name):
    z, v = rotated()
    assert METRICS[name](v.astype(float), v) == pytest.approx(1, abs=1e-9)
    assert METRICS[name](z, v) < (0.75 if name == "factor_vae" else 0.2)


@each
def test_more_noise_is_never_better(name):
    scores = [METRICS[name](GRID + s * NOISE[:, :3], GRID) for s in (0, 0.3, 0.8, 5)]
    assert scores == sorted(scores, reverse=True) and scores[1] - scores[-1] > 0.2


@each
def test_a_single_latent(name):
    z = GRID[:, [2]] + 0.0
    assert METRICS[name](z, GRID[:, [2]]) == pytest.approx(1)
    # Of three factors it knows one. A forest's importances sum to 1 in any case.
    shared = {"disentanglement": 0, "completeness": 1}.get(name, 1 / 3)
    assert METRICS[name](z, GRID) == pytest.approx(shared, abs=0.05)


@each
def test_which_rows_belong_together_matters(name):
    """The known mistake: factors of other samples than those the codes are of."""
    other = np.random.default_rng(1).permutation(GRID)
    assert METRICS[name](GRID + 0.0, other) < CHANCE[name] + 0.05


@pytest.mark.parametrize(
    "metric",
    [r.information, r.mig, r.sap, r.sap_svm, r.dci, r.dci_boosted, r.factor_vae_score],
)
@pytest.mark.parametrize(
    ("z", "factors", "message"),
    [
        (NOISE, GRID[1:], r"must be \(1440, F\)"),
        (NOISE, GRID[:, 0], r"not \(1440,\) int64"),
        (NOISE, GRID * 0.5, "float64"),
        (NOISE, GRID * 0, "no factor has two values"),
        (NOISE, np.arange(len(GRID))[:, None], "some of them twice"),
        (NOISE[:, 0], GRID, r"codes must be .* of \(1440,\)"),
        (NOISE[:, :0], GRID, r"of \(1440, 0\)"),
        (np.where(NOISE > 3, np.nan, NOISE), GRID, "finite: 11505 of"),
    ],
)
def test_what_does_not_fit_is_refused(metric, z, factors, message):
    with pytest.raises(config.InputError, match=message):
        metric(z, factors)


def test_active_units():
    z = NOISE[:, :3] / NOISE[:, :3].std(0) * np.sqrt([0.5, 0.011, 0.009]) + 100
    assert r.active_units(z) == 2
    assert r.active_units(z, 0.1) == 1 and r.active_units(z, 0.001) == 3
    assert r.active_units([[0.0], [1.0]], 0.25) == 0  # not above, but equal


def brute_information(a, b):
    total = 0.0
    for i, j in itertools.product(set(a), set(b)):
        both = np.mean((a == i) & (b == j))
        total += both and both * math.log(both / np.mean(a == i) / np.mean(b == j))
    return total


def test_mig_by_brute_force():
    z, v = GRID @ np.random.default_rng(2).normal(size=(3, 5)), GRID[:, :2]
    expected = []
    for j in range(2):
        result = []
        for i in range(5):
            inner = np.histogram_bin_edges(z[:, i], 7)[1:-1]
            result.append(brute_information(np.searchsorted(inner, z[:, i]), v[:, j]))
        second, first = sorted(result)[-2:]
        expected.append((first - second) / math.log(SIZES[j]))
    assert r.mig(z, v, bins=7) == pytest.approx(np.mean(expected), rel=1e-9)


def test_mig_by_hand():
    v = np.array([0, 0, 1, 1])[:, None]
    z = np.array([[1.0, 0], [1, 0], [2, 0], [2, 1]])
    entropy, half = math.log(2), 0.25 * math.log(0.25) + 0.75 * math.log(0.75)
    second = entropy - half - 1.5 * math.log(2)  # H(v) + H(z) - H(v, z)
    assert r.mig(z, v, bins=2) == pytest.approx((entropy - second) / entropy)
    with pytest.raises(config.InputError, match="N = 4 bins, not 5"):
        r.mig(z, v, bins=5)


def test_sap_by_hand():
    v = np.repeat([0, 1], [2, 4])[:, None]
    z = np.array([[0, 0], [1, 4], [9, 1], [9, 2], [9, 3], [9, 0.0]])
    # Latent 1: means 2 and 1.5, cut at 1.75; recalls 1/2 and 2/4 are chance.
    assert r.sap(z, v) == 1
    z = np.array([[0, -4], [1, 8], [0, 3], [9, -3], [9, -3], [9, -3.0]])
    # Latent 0: means 0.5 and 6.75, cut at 3.625; recalls 1 and 3/4: 2 (7/8) - 1 = 3/4.
    # Latent 1: means 2 and -1.5, cut at 0.25; recalls 1/2 and 3/4: 2 (5/8) - 1 = 1/4.
    assert r.sap(z, v) == pytest.approx(1 / 2)
    worse = np.array([[-1], [-1], [3], [1], [1], [-2.2]])  # recalls 1/3 and 1/3
    assert r.sap(worse, np.repeat([0, 1], 3)[:, None]) == 0


def test_dci_from_known_importances(monkeypatch):
    from sklearn import ensemble

    columns = iter(np.array([[0.6, 0.4, 0], [0.5, 0.5, 0], [0, 0, 0]]))

    class Forest:
        def __init__(self, trees, **options):
            pass

        def fit(self, z, v):
            self.feature_importances_ = next(columns)
            return self

        def predict(self, z):
            return np.zeros(len(z), int)

    monkeypatch.setattr(ensemble, "RandomForestClassifier", Forest)
    result = r.dci(NOISE[:, :3], GRID)

    def purity(p, base):
        return 1 + sum(q * math.log(q, base) for q in p)

    first = 1.1 * purity((6 / 11, 5 / 11), 3) + 0.9 * purity((4 / 9, 5 / 9), 3)
    assert result.disentanglement == pytest.approx(first / 2)
    complete = purity((0.6, 0.4), 3) + purity((0.5, 0.5), 3)  # the third: 0
    assert result.completeness == pytest.approx(complete / 3)
    assert result.informativeness == 0  # one class for all is chance


def mixed():
    """Codes that share their factors: a rotation of all, noise, one dead latent."""
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    z = (GRID / SIZES) @ turn + 0.1 * NOISE[:, :3]
    return np.column_stack([z, NOISE[:, 3], np.full(len(z), 0.1)])


def test_sap_of_disentanglement_lib():
    """Its loops, from its description: rows and columns of R one by one."""
    from sklearn import svm

    z, rows = mixed(), np.random.default_rng(3).permutation(len(GRID))[:900]
    test, train = rows[:300], rows[300:]
    gaps = []
    for j in range(3):
        scores = []
        for i in range(5):
            fit = svm.LinearSVC(
                C=0.01, class_weight="balanced", dual=True, random_state=0
            ).fit(z[train, i : i + 1], GRID[train, j])
            right = fit.predict(z[test, i : i + 1]) == GRID[test, j]
            scores.append(right.mean())
        *_, second, first = sorted(scores)
        gaps.append(first - second)
    got = r.sap_svm(z, GRID, 900, seed=3)
    assert got == pytest.approx(np.mean(gaps), abs=0.005) and got > 0.05
    assert abs(got - r.sap(z, GRID)) > 0.03, "another estimator than ours"
    assert got != r.sap_svm(z, GRID, 900, seed=4)


def test_dci_of_disentanglement_lib():
    from scipy import stats
    from sklearn import ensemble

    z, rows = mixed(), np.random.default_rng(3).permutation(len(GRID))[:300]
    v = np.column_stack([GRID[:, :2], np.full(len(GRID), 5)])  # one says nothing
    test, train = rows[:100], rows[100:]
    columns, scores = [], []
    for j in range(2):
        trees = ensemble.GradientBoostingClassifier(random_state=3)
        trees.fit(z[train], v[train, j])
        columns.append(abs(trees.feature_importances_))
        scores.append(np.mean(trees.predict(z[test]) == v[test, j]))
    matrix = np.stack(columns, 1)
    d = c = 0.0
    for row in matrix:
        d += row.sum() / matrix.sum() * (1 - stats.entropy(row + 1e-11, base=2))
    for column in matrix.T:
        share = column.sum() / matrix.sum()
        c += share * (1 - stats.entropy(column + 1e-11, base=5))
    got = r.dci_boosted(z, v, 300, seed=3)
    assert got == pytest.approx((d, c, np.mean(scores)), abs=1e-8)
    assert 0.05 < got.disentanglement < 0.95


def test_forms_of_disentanglement_lib_at_their_ends():
    z = GRID[:, ::-1] * (1.0, -5.0, 0.1) + 7
    assert r.dci_boosted(z, GRID, 600) == pytest.approx((1, 1, 1), abs=1e-6)
    two = GRID[:, :2] % 2
    assert r.sap_svm(two * 9.0 - 4, two) > 0.45  # 1 less the chance of two values
    assert abs(r.sap_svm(NOISE, GRID)) < 0.05
    noise = r.dci_boosted(NOISE, GRID, 600)
    assert noise.disentanglement < 0.1 and noise.informativeness < 0.4
    for metric in (r.sap_svm, r.dci_boosted):
        with pytest.raises(config.InputError, match="2 rows are too few"):
            metric(NOISE, GRID, 2)
        rare = np.zeros((len(GRID), 1), int)
        rare[np.random.default_rng(0).permutation(len(GRID))[0]] = 1
        rare[np.random.default_rng(0).permutation(len(GRID))[1]] = 1  # both in test
        with pytest.raises(config.InputError, match="too few to fit"):
            metric(NOISE, rare)


def test_information_is_a_share_of_each_factor():
    v = np.column_stack([GRID, np.full(len(GRID), 5)])
    known = r.information(np.column_stack([GRID[:, 1], NOISE[:, 0], GRID[:, 0]]), v)
    assert known.shape == (3, 4) and np.isnan(known[:, 3]).all()
    one = [[0, 1, 0], [0, 0, 0], [1, 0, 0]]
    np.testing.assert_allclose(known[:, :3], one, atol=0.05)


def test_informativeness_is_of_examples_held_out():
    assert r.dci(GRID + 0.0, GRID).informativeness == 1
    assert r.dci(rotated()[0], rotated()[1]).informativeness == 1
    assert r.dci(NOISE, GRID).informativeness < 0.05


def test_scores_repeat_with_their_seed():
    z = GRID + NOISE[:, :3]
    assert r.dci(z, GRID, 1) == r.dci(z, GRID, 1) != r.dci(z, GRID, 2)
    a, b, c = (r.factor_vae_score(z, GRID, seed) for seed in (1, 1, 2))
    assert a == b != c


def test_factor_vae_variance_is_relative_to_all_codes():
    z = np.column_stack([GRID[:, 0] * 1e3 + NOISE[:, 0], NOISE[:, 1] * 1e-3])
    assert r.factor_vae_score(z, GRID[:, :1]) == 1
    # Unscaled, latent 1 would win every vote and tie both factors to itself.
    z[:, 1] += GRID[:, 1]
    assert r.factor_vae_score(z, GRID[:, :2]) == 1


def test_probe():
    z, y = NOISE[:, :2] * (1e3, 1e-3), (NOISE[:, 0] > NOISE[:, 1]).astype(int)
    assert r.probe_accuracy(z[:1000], y[:1000], z[1000:], y[1000:]) > 0.98
    assert r.probe_accuracy(z[:1000], y[:1000], z[1000:], 1 - y[1000:]) < 0.02
    flat = np.full_like(z, 0.1)
    share = np.mean(y[1000:] == np.bincount(y[:1000]).argmax())
    assert r.probe_accuracy(flat[:1000], y[:1000], flat[1000:], y[1000:]) == share
    square = (np.abs(NOISE[:, 0]) > 0.67).astype(int)  # no line separates them
    assert r.probe_accuracy(z[:1000], square[:1000], z[1000:], square[1000:]) < 0.6
    uneven = [(z, y[:9], z, y), (z, y, z[:, :1], y), (z, y, z, y[:, None])]
    for bad in [*uneven, (z, y * 0, z, y)]:
        with pytest.raises(config.InputError, match="do not make a probe"):
            r.probe_accuracy(*bad)
