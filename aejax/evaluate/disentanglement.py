"""How codes show the factors that made their data: pure functions of NumPy arrays.

z (N, k) are codes, means E[z|x] where the encoder has them; factors (N, F) the whole
numbers behind the same examples in the same order, classes without order. A factor that
never varies or never repeats is left out. A second best that is missing scores 0.
``sap`` and ``dci`` are estimators of our own; ``sap_svm`` and ``dci_boosted`` are those
of disentanglement_lib (Locatello et al., ICML 2019), to compare with its numbers.
InputError: shapes do not fit, codes are not finite, no factor is left.
"""

from collections.abc import Sequence
from concurrent import futures
from typing import NamedTuple

import numpy as np
from scipy import special

from aejax import config


class Dci(NamedTuple):
    disentanglement: float
    completeness: float
    informativeness: float


def _codes(z: np.ndarray) -> np.ndarray:
    finite = np.isfinite(z := np.asarray(z, np.float64)).sum()
    if z.ndim != 2 or not 0 < finite == z.size:
        raise config.InputError(f"codes must be (N, k), finite: {finite} of {z.shape}")
    return z


def _classes(z: np.ndarray, factors: np.ndarray) -> dict[int, np.ndarray]:
    """{column: class ids from 0, (N,)} of the factors that vary and repeat."""
    v = np.asarray(factors)
    if v.ndim != 2 or len(v) != len(z) or v.dtype.kind not in "iu":
        raise config.InputError(
            f"factors must be ({len(z)}, F) whole numbers, not {v.shape} {v.dtype}"
        )
    ids = (np.unique(column, return_inverse=True)[1] for column in v.T)
    if not (ids := {j: v for j, v in enumerate(ids) if 0 < v.max() < len(v) - 1}):
        raise config.InputError("no factor has two values or more, some of them twice")
    return ids


def _gap(scores: Sequence[Sequence[float]]) -> float:
    """Mean over factors of scores (F, k): the best latent's minus the second's."""
    ranked = np.pad(np.sort(scores, 1), ((0, 0), (1, 0)))
    return float((ranked[:, -1] - ranked[:, -2]).mean())


def _purity(r: np.ndarray) -> np.ndarray:
    """1 - entropy of each row's shares, in base of their number; 0 of a row of 0."""
    total = r.sum(1)
    entropy = special.entr(r / np.where(total > 0, total, 1)[:, None]).sum(1)
    return np.where(total > 0, 1 - entropy / np.log(max(2, r.shape[1])), 0)


def _skill(v: np.ndarray, guess: np.ndarray, classes: int) -> float:
    """Mean recall of the classes in v, rescaled: 0 is chance, or 1 / classes."""
    recall = np.mean([(guess[v == i] == i).mean() for i in np.unique(v)])
    return max(0.0, float(recall * classes - 1) / (classes - 1))


def _entropy(ids: np.ndarray) -> float:
    return float(special.entr(np.bincount(ids) / len(ids)).sum())  # nats


def active_units(mu: np.ndarray, threshold: float = 1e-2) -> int:
    """Count of Var_x(E[z|x]) > threshold, mu (N, k). Burda et al., ICLR 2016, 5.2."""
    return int((_codes(mu).var(0) > threshold).sum())


def information(z: np.ndarray, factors: np.ndarray, bins: int = 20) -> np.ndarray:
    """(k, F): the share I(z_i; v_j) / H(v_j) of a factor that a latent knows.

    Latents are cut into ``bins`` of equal width, N or fewer: factors of more values
    stay below 1, and I is some (bins - 1)(values - 1) / 2N nats too large. NaN of a
    factor that is left out.
    """
    z = _codes(z)
    if not 2 <= bins <= len(z):
        raise config.InputError(f"mig needs 2 to N = {len(z)} bins, not {bins}")
    width = np.where(np.ptp(z, 0) > 0, np.ptp(z, 0), 1)
    cut = np.minimum(((z - z.min(0)) / width * bins).astype(int), bins - 1)

    def share(i: np.ndarray, v: np.ndarray) -> float:
        return 1 + (_entropy(i) - _entropy(i * (v.max() + 1) + v)) / _entropy(v)

    ids = _classes(z, factors)
    shares = np.full((z.shape[1], np.shape(factors)[1]), np.nan)
    for j, v in ids.items():
        shares[:, j] = [share(i, v) for i in cut.T]
    return shares


def mig(z: np.ndarray, factors: np.ndarray, bins: int = 20) -> float:
    """Mutual information gap, from 0 to 1: each factor has one latent to itself.

    mean_j (I(z_a; v_j) - I(z_b; v_j)) / H(v_j), a and b the latents of largest I. Chen
    et al., NeurIPS 2018, eq. 6, in bins as Locatello et al., ICML 2019; see
    ``information``.
    """
    shares = information(z, factors, bins).T
    return _gap(shares[~np.isnan(shares).any(1)])


def sap(z: np.ndarray, factors: np.ndarray) -> float:
    """Separated attribute predictability, from 0 to 1: mean_j S_aj - S_bj.

    S_ij, of which a and b are the largest, is the balanced accuracy, rescaled so that
    chance is 0, of guessing factor j from latent i by the nearest class mean: linear
    discriminants in one dimension, scored where fitted (let N be many times the number
    of values). Kumar et al., ICLR 2018, take a linear SVM and do not rescale.
    """

    def score(code: np.ndarray, v: np.ndarray) -> float:
        means = np.bincount(v, code) / np.bincount(v)
        order = means.argsort()
        between = (means[order][1:] + means[order][:-1]) / 2
        return _skill(v, order[np.searchsorted(between, code)], len(means))

    z = _codes(z)
    return _gap([[score(i, v) for i in z.T] for v in _classes(z, factors).values()])


def sap_svm(
    z: np.ndarray, factors: np.ndarray, limit: int = 15_000, seed: int = 0
) -> float:
    """SAP of disentanglement_lib, comparable with its numbers. Kumar et al., ICLR 2018.

    S_ij is the plain accuracy, on a third of at most ``limit`` rows (theirs: 5,000 of
    15,000), of a balanced linear SVM, C = 0.01, fitted to the others. Middle values of
    a factor lie between others on a line, where no linear one-against-rest classifier
    sees them: perfect codes are far from 1.
    """
    from sklearn import svm

    def score(i: np.ndarray, v: np.ndarray) -> float:
        # The primal problem: on a single latent of any scale the dual may not converge.
        fit = svm.LinearSVC(C=0.01, class_weight="balanced", dual=False)
        return fit.fit(i[train], v[train]).score(i[test], v[test])

    z, train, test, ids = _parts(z, factors, limit, seed)
    return _gap([[score(i[:, None], v) for i in z.T] for v in ids])


def _parts(z: np.ndarray, factors: np.ndarray, limit: int, seed: int):
    """Codes, rows to fit and to test, and class ids of what varies where fitted."""
    ids = _classes(z := _codes(z), factors).values()
    rows = np.random.default_rng(seed).permutation(len(z))[:limit]
    test, train = np.split(rows, [len(rows) // 3])
    if not len(test) or not (ids := [v for v in ids if np.ptp(v[train])]):
        raise config.InputError(f"{len(rows)} rows are too few to fit and to test")
    return z, train, test, ids


def dci(z: np.ndarray, factors: np.ndarray, seed: int = 0) -> Dci:
    """Disentanglement, completeness, informativeness. Eastwood & Williams, ICLR 2018.

    R_ij is the importance of latent i in a random forest that learns factor j from z.
    D_i = 1 - H(R_i. / sum) in base F, averaged with weights sum_j R_ij; C_j = 1 -
    H(R_.j) in base k, averaged: R_.j sums to 1, however badly j is learned. So look at
    informativeness too, here balanced accuracy on a held out quarter, chance being 0.
    """
    from sklearn import ensemble

    z, importances, skills = _codes(z), [], []
    order = np.random.default_rng(seed).permutation(len(z))
    test, train = np.split(order, [len(z) // 4 or 1])
    for v in _classes(z, factors).values():
        # All latents compete at every split: else the weak win where the best is not.
        forest = ensemble.RandomForestClassifier(
            50, max_features=None, min_samples_leaf=5, random_state=seed, n_jobs=-1
        ).fit(z[train], v[train])
        importances.append(forest.feature_importances_)
        skills.append(_skill(v[test], forest.predict(z[test]), v.max() + 1))
    r = np.stack(importances, 1)  # (k, F)
    d = r.sum(1) @ _purity(r) / (r.sum() or 1)
    return Dci(float(d), float(_purity(r.T).mean()), float(np.mean(skills)))


def dci_boosted(
    z: np.ndarray, factors: np.ndarray, limit: int = 15_000, seed: int = 0
) -> Dci:
    """DCI of disentanglement_lib, comparable with its numbers; slow.

    R comes from gradient boosting with scikit-learn's defaults, fitted to two thirds of
    at most ``limit`` rows (theirs: 10,000 of 15,000). D_i and C_j are those of ``dci``,
    averaged with weights sum_j R_ij and sum_i R_ij; informativeness is plain accuracy
    on the other third, where chance is the share of the commonest value.
    """
    from sklearn import ensemble

    def fit(v: np.ndarray) -> tuple[np.ndarray, float]:
        trees = ensemble.GradientBoostingClassifier(random_state=seed)
        trees.fit(z[train], v[train])
        return trees.feature_importances_, trees.score(z[test], v[test])

    z, train, test, ids = _parts(z, factors, limit, seed)
    with futures.ThreadPoolExecutor() as pool:
        importances, scores = zip(*pool.map(fit, ids), strict=True)
    r = np.stack(importances, 1)  # (k, F)
    both = (s.sum(1) @ _purity(s) / (s.sum() or 1) for s in (r, r.T))
    return Dci(*map(float, both), float(np.mean(scores)))


def factor_vae_score(z: np.ndarray, factors: np.ndarray, seed: int = 0) -> float:
    """Accuracy from 1/F (chance) to 1. Kim & Mnih, ICML 2018, section 4.

    A vote fixes a factor at some example's value, draws 64 codes that share it (with
    replacement) and names the latent of least variance, relative to all codes. 800 tie
    each latent to the factor it had most of; the score is how often 800 others agree.
    Constant latents have no vote; if all are, the score is 0.
    """
    z = _codes(z)
    varies = z.std(0) > 1e-7 * np.abs(z).max(0)  # below that is float32's rounding
    z = z[:, varies] / z[:, varies].std(0)
    v = np.stack(list(_classes(z, factors).values()))  # (F, N)
    rng = np.random.default_rng(seed)
    learned, scored = np.zeros((2, z.shape[1], len(v)), int)
    for counts in (learned, scored) if varies.any() else ():
        for _ in range(800):
            j = rng.integers(len(v))
            same = np.flatnonzero(v[j] == rng.choice(v[j]))
            counts[z[rng.choice(same, 64)].var(0).argmin(), j] += 1
    return float(scored[np.arange(len(learned)), learned.argmax(1)].sum() / 800)


def probe_accuracy(
    z_train: np.ndarray, y_train: np.ndarray, z_test: np.ndarray, y_test: np.ndarray
) -> float:
    """Test accuracy of logistic regression on standardised codes, labels y (N,)."""
    from sklearn import linear_model, preprocessing

    shapes = [np.shape(a) for a in (z_train, y_train, z_test, y_test)]
    z_train, z_test = _codes(z_train), _codes(z_test)
    n, k, m = *z_train.shape, len(z_test)
    if shapes != [(n, k), (n,), (m, k), (m,)] or len(np.unique(y_train)) < 2:
        raise config.InputError(f"shapes {shapes}, or one class, do not make a probe")
    scaler = preprocessing.StandardScaler().fit(z_train)
    probe = linear_model.LogisticRegression(max_iter=2000)
    probe.fit(scaler.transform(z_train), y_train)
    return float(probe.score(scaler.transform(z_test), y_test))
