"""How many dimensions data have: the knee of the bottleneck curve, and of points.

The knee is the smallest latent size whose test mse is at most twice the plateau, the
least mse of any size below the data's own; PCA has one too. From points alone: Levina &
Bickel, NeurIPS 2004; TwoNN, Facco et al., Scientific Reports 2017.
"""

from collections.abc import Sequence

import numpy as np

from aejax import config, evaluate, tasks
from aejax import data as datasets
from aejax.data import manifolds
from aejax.tasks import panels
from aejax.training import source as sources

all_models = True
CLOUD = 4000  # points: neighbours of all pairs are looked at


def sweeps(data: datasets.Dataset) -> list[tasks.Sweep]:
    """The data set, and two of known dimension in half the steps."""
    sizes = [k for k in (1, 2, 4, 8, 16, 32, 64) if k < data.train.x[0].size]
    known = [name for name in ("bumps", "plane_8") if name != data.name]
    axes = {"dataset": known, "latent_dim": (2, 3, 4, 6, 7, 8, 12), "seed": (0, 1)}
    return [
        tasks.Sweep("knee", tasks.size(data), {"latent_dim": sizes, "seed": (0, 1, 2)}),
        tasks.Sweep("knee-known", {"epochs": 25, "eval_every": 25}, axes),
    ]


def knee(sizes: Sequence[int], mse: np.ndarray, factor: float = 2.0) -> np.ndarray:
    """The smallest size with mse ≤ factor · plateau; mse (..., K) at K rising sizes."""
    enough = mse <= factor * np.min(mse, -1, keepdims=True)
    return np.asarray(sizes)[enough.argmax(-1)]


def knee_interval(
    sizes: Sequence[int], mse: np.ndarray, factor: float = 2.0
) -> list[int]:
    """95 % of 1,000 knees of means over S seeds drawn with replacement; mse (S, K)."""
    drawn = np.random.default_rng(0).integers(len(mse), size=(1000, len(mse)))
    knees = knee(sizes, mse[drawn].mean(1), factor)  # rough, if seeds are few
    return np.quantile(knees, (0.025, 0.975), method="nearest").tolist()


def _nearest(x: np.ndarray, count: int) -> np.ndarray:
    """Distances (n, count) to their nearest of those points x (N, *S) that differ."""
    from sklearn import neighbors

    x = np.unique(np.reshape(x, (len(x), -1)), axis=0)
    if len(x) <= count:
        raise config.InputError(f"{len(x)} different points are not more than {count}")
    return neighbors.NearestNeighbors(n_neighbors=count).fit(x).kneighbors()[0]


def mle(x: np.ndarray, low: int = 10, high: int = 20) -> float:
    """Maximum likelihood from ``low`` to ``high`` neighbours of points x (N, *S).

    Of k neighbours 1/m is the mean over points of 1/(k−1) Σ_j log(T_k / T_j), eq. 8 as
    MacKay & Ghahramani (2005) average it; the result is the mean of m over k. It is
    low where most points are near a boundary, by a sixth on 1,000 of an 8-cube.
    """
    logs = np.log(_nearest(x, high))
    gaps = (logs[:, k - 1 : k] - logs[:, : k - 1] for k in range(low, high + 1))
    return float(np.mean([1 / gap.mean() for gap in gaps]))


def two_nn(x: np.ndarray, discard: float = 0.1) -> float:
    """TwoNN of points x (N, *S): the d of P(r₂ / r₁ ≤ μ) = 1 − μ^−d.

    The slope through 0 of −log(1 − F) against log μ, without the largest μ.
    """
    log_mu = np.sort(np.diff(np.log(_nearest(x, 2)))[:, 0])
    kept = int(len(log_mu) * (1 - discard))
    height = -np.log1p(-np.arange(1, kept + 1) / len(log_mu))
    return float(log_mu[:kept] @ height / np.square(log_mu[:kept]).sum())


def apply(
    models: tasks.Models, data: datasets.Dataset, *, factor: float = 2.0
) -> tasks.Result:
    """Knees of the models' and PCA's test mse, and dimensions of held-out points.

    Args:
      models: of several latent sizes, and seeds where there is to be an interval.
      data: see ``tasks.parts``.
      factor: of the plateau, which the knee's mse may reach.
    """
    metrics, pictures, clouds = [], [], {}
    for part, members in tasks.parts(models, data):
        test, valid = tasks.held_out(part), tasks.held_out(part, "valid")
        known, lines = manifolds.MANIFOLDS.get(part.name), {}
        for name, (sizes, mse) in _curves(members, part, test).items():
            row = {"data": part.name, "system": f"knee, {name}"}
            best = row["dimension"] = int(knee(sizes, mse.mean(0), factor))
            if len(mse) > 1:
                row["low"], row["high"] = knee_interval(sizes, mse, factor)
            row["not enough"] = max((k for k in sizes if k < best), default=None)
            metrics.append(row | {"known": known and known.dim})
            lines[name] = np.transpose([sizes, mse.mean(0), mse.min(0), mse.max(0)])
        axes = "latent size", "test mse"
        pictures.append(panels.Curves(part.name, *axes, lines, "xy"))
        clouds[part.name] = np.concatenate([test.x, valid.x])[:CLOUD], known
    count = len(clouds[data.name][0])
    for name, known in manifolds.MANIFOLDS.items():
        u = np.random.RandomState(1).uniform(size=(known.dim, count))
        clouds[f"{name}, no noise"] = known.point(*u), known
    for name, (x, known) in clouds.items():
        for f in (mle, two_nn):
            row = {"data": name, "system": f.__name__, "dimension": f(x)}
            metrics.append(row | {"known": known and known.dim})
    table = {(m["data"], m["system"]): m["dimension"] for m in metrics}
    table |= {(m["data"], "known"): m["known"] for m in metrics}
    columns = list(dict.fromkeys(system for _, system in table))
    values = np.array([[table.get((n, c)) for c in columns] for n in clouds], float)
    pictures.append(panels.Grid("dimensions", values, list(clouds), columns))
    text = (
        "Knees are of the mean squared error on the test split, one of the trained "
        f"sizes: its mse is at most {factor:g} times the least, the size before is not "
        "enough, and at the largest no plateau was seen. low and high hold 95 % of the "
        "knees of seeds redrawn, where there are several. mle and two_nn see valid and "
        f"test, {count} points of {data.name} and of each manifold without noise."
    )
    return tasks.Result(metrics, pictures, text)


def _curves(models, data, test: datasets.Split) -> dict[str, tuple[list, np.ndarray]]:
    """{system: (sizes (K,), mse (S, K))}, of the sizes that all seeds have; and PCA."""
    members: dict[str, dict] = {}
    for name, model in tasks.named(models).items():
        words = [w for w in name.split() if w.partition("=")[0] not in ("k", "seed")]
        if model.latent_dim < test.x[0].size:
            error = evaluate.error(test.x, model.reconstruct(test.x, test.y)).mean()
            member = members.setdefault(" ".join(words), {})
            member[model.config.seed, model.latent_dim] = float(error)
    curves = {}
    for name, mse in members.items():
        seeds, sizes = (sorted(set(n)) for n in zip(*mse, strict=True))
        sizes = [k for k in sizes if all((s, k) in mse for s in seeds)]
        if len(sizes) > 2:
            curves[name] = sizes, np.array([[mse[s, k] for k in sizes] for s in seeds])
    if not curves or data.symbols or test.length is not None:
        raise config.InputError(
            f"a knee on '{data.name}' needs models of three sizes or more below the "
            "data's own, and examples of one shape, no text; sweep --dataset digits "
            "--axis latent_dim=1,2,4,8,16,32 --axis seed=0,1,2, say"
        )
    sizes = sorted({k for sizes, _ in curves.values() for k in sizes})
    pca = evaluate.pca_mse(sources.source(data, sources.describe(data), "none"), sizes)
    return curves | {"pca": (sizes, np.array([[pca[k] for k in sizes]]))}
