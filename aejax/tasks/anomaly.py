"""Anomaly detection, one class as normal. Sakurada & Yairi, MLSDA 2014."""

from collections.abc import Callable, Sequence

import jax
import numpy as np

from aejax import autoencoder, config, evaluate, tasks
from aejax import data as datasets
from aejax.tasks import compare, panels, represent

DEFAULT = "error"  # fixed before anything was measured; the others stand beside it
needs = {"labels"}
Score = Callable[[datasets.Split], dict[str, np.ndarray]]


def sweeps(data: datasets.Dataset) -> list[tasks.Sweep]:
    """A model of each class (small data: every third). ae, 16: best on MNIST valid."""
    classes, step = np.unique(data.train.y), 1 if len(data.train.x) > 10_000 else 3
    whole = set(classes) == set(np.unique(data.test.y))
    views = [datasets.view(data, [k]) for k in classes[:10:step]]
    views = views if whole else [data.name]
    values = tasks.size(datasets.load(views[0])) | {"objective": "ae", "latent_dim": 16}
    return [tasks.Sweep("one-class", values, {"dataset": views})]


def mahalanobis(codes: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Codes (n, k) -> z (N, k) -> (N,) squared distances; of Ledoit–Wolf covariance."""
    from sklearn import covariance

    return covariance.LedoitWolf().fit(np.asarray(codes, np.float64)).mahalanobis


def errors(model: autoencoder.Autoencoder, part: datasets.Split) -> np.ndarray:
    """(N,) mse of each example's reconstruction."""
    return evaluate.error(part.x, model.reconstruct(*part), part.length)


def scores(model: autoencoder.Autoencoder, normal: datasets.Split, valid) -> Score:
    """The function Split of N -> {score: (N,)}, each larger where x is less normal.

    "error" is the mse; "mahalanobis" the distance of the code from those of ``normal``
    training examples; "both" their sum, the error as ‖x − x̂‖² over its mean square in
    ``valid`` normal ones: -2 log p(x, z) of a Gaussian model but for a constant; "nll",
    where there is a likelihood, -log p(x) in nats by 32 importance samples; that is
    called "cross-entropy" of grey values under a Bernoulli likelihood, which has none.
    """
    distance = mahalanobis(represent.flat(model.encode(*normal)))
    weight = valid.x[0].size / errors(model, valid).mean()

    def score(part: datasets.Split) -> dict[str, np.ndarray]:
        mse = errors(model, part)
        far = distance(represent.flat(model.encode(*part)))
        out = {"error": mse, "mahalanobis": far, "both": weight * mse + far}
        if model.has_likelihood:
            name = "nll" if evaluate.is_likelihood(model, valid.x) else "cross-entropy"
            draws = {"key": jax.random.key(0), "samples": 32, "grey": True}
            out[name] = evaluate.log_likelihood(model, *part, **draws).nll
        return out

    return score


def baselines(normal: datasets.Split, dims: Sequence[int] = (30,)) -> Score:
    """The same of four methods fitted to ``normal`` examples, PCA with ``dims``."""
    from sklearn import ensemble, neighbors

    x = normal.x.reshape(len(normal.x), -1)
    fits = {f"PCA k={k} error": tasks.PCA(x, k) for k in dims}
    forest = ensemble.IsolationForest(random_state=0).fit(x)
    near = neighbors.NearestNeighbors(n_neighbors=min(5, len(x))).fit(x)

    def score(part: datasets.Split) -> dict[str, np.ndarray]:
        a = part.x.reshape(len(part.x), -1)
        rest = {n: a - pca.reconstruct(a) for n, pca in fits.items()}
        return {n: np.square(r).mean(1) for n, r in rest.items()} | {
            "distance to the mean": np.square(a - x.mean(0, keepdims=True)).sum(1),
            "Isolation Forest": -forest.score_samples(a),
            "5 nearest neighbours": near.kneighbors(a)[0].mean(1),
        }

    return score


def systems(
    models: tasks.Models, train: datasets.Split, valid: datasets.Split, dims
) -> dict[str, Score]:
    """{name: its ``scores``} and, without a name, ``baselines`` of normal examples."""
    named, dims = tasks.named(models), {*dims, *(m.latent_dim for m in models)}
    ours = {f"{name} ": scores(m, train, valid) for name, m in named.items()}
    return ours | {"": baselines(train, sorted(dims))}


def threshold(normal: np.ndarray, rate: float = 0.05) -> float:
    """The score that at most this share of normal examples' scores (n,) exceeds."""
    return float(np.quantile(normal, 1 - rate, method="higher"))


def detection(strange: np.ndarray, before: np.ndarray, values: np.ndarray, rate: float):
    """Columns of scores (N,) of test examples; ``before`` are those of normal ones."""
    from sklearn import metrics

    alarm = values > threshold(before, rate)
    return {
        "auroc": metrics.roc_auc_score(strange, values),
        "auprc": metrics.average_precision_score(strange, values),
        "false alarm rate": alarm[~strange].mean(),
        "detection rate": alarm[strange].mean(),
    }


def apply(
    models: tasks.Models,
    data: datasets.Dataset,
    *,
    rate: float = 0.05,
    pca: tuple = (2, 30),
) -> tasks.Result:
    """AUROC and AUPRC of every score on the test split, detection at a threshold.

    ``models`` know normal examples alone; of several ``NAME:K`` means are taken. At
    most this ``rate`` of normal validation examples lie above thresholds. ``pca``:
    numbers of components, beside the models' own.
    """
    cut = lambda data, split: tasks.held_out(data, split)._replace(y=None)  # noqa: E731
    test, views = cut(data, "test"), tasks.by_dataset(models)
    compared = []
    for name, members in views.items():
        view = datasets.load(name)
        strange = _strange(view, data)
        train, valid = (cut(view, split) for split in ("train", "valid"))
        for prefix, score in systems(members, train, valid, pca).items():
            before, after = score(valid), score(test)
            for kind, values in after.items():
                row = detection(strange, before[kind], values, rate)
                compared.append(compare.Compared({}, prefix + kind, row))
    title = "Mean and range of normal classes"
    pictures: list[panels.Panel] = [compare.bars(title, compared, "auroc")]
    if len(views) > 1:
        normal = [datasets.classes_of(name)[1] or name for name in views]
        grid = compare.grid("AUROC by normal class", compared, "auroc", normal)
        pictures.append(grid)
    model = members[0]
    x_hat, order = model.reconstruct(*test), np.argsort(errors(model, test))
    missed, odd = order[strange[order]][:10], order[~strange[order]][:-11:-1]
    for kind, picks in (("anomalies, least", missed), ("normal, largest", odd)):
        pair = ("test", "", test.x[picks]), ("output", "", x_hat[picks])
        pictures.append(panels.Images(f"{name}, {kind} error", pair))
    text = (
        f"Means over normal classes, {len(views)} in turn. Test examples of the others "
        f"are anomalies: of {len(test.x)} {strange.mean():.0%} for '{name}'. The score "
        f"'{DEFAULT}' was fixed beforehand; baselines know the same training examples. "
        f"At most {rate:.0%} of the normal validation examples, {len(valid.x)} for "
        f"'{name}', exceed the threshold; the rates of alarms are those on test."
    )
    return tasks.Result(compare.means(compared), pictures, text)


def _strange(view: datasets.Dataset, data: datasets.Dataset) -> np.ndarray:
    whole = datasets.classes_of(data.name)[0]
    if datasets.classes_of(view.name)[0] == whole and data.test.y.ndim == 1:
        strange = ~np.isin(data.test.y, view.train.y)
        if 0 < strange.sum() < len(strange):
            return strange
    raise config.InputError(
        f"a model of '{view.name}' knows every class of '{whole}', or none: nothing "
        f"there is an anomaly. Train with --dataset {whole}:K, of normal class K"
    )
