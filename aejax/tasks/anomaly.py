"""Anomaly detection, with labels or without. Sakurada & Yairi, MLSDA 2014."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from aejax import autoencoder, config, evaluate, tasks
from aejax import data as datasets
from aejax.tasks import compare, panels, ranking, represent, timeline

DEFAULT = "error"  # fixed before anything was measured; the others stand beside it
Score = Callable[[datasets.Split], dict[str, np.ndarray]]


def sweeps(data: datasets.Dataset) -> list[tasks.Sweep]:
    """A model of each class (small data: every third), or of data without labels.

    ae, 16: best on MNIST valid; of few columns a quarter, or nothing would be lost.
    What may hold anomalies is not to be learned by heart: without labels parameters are
    those of the lowest validation loss, of 40. Windows of a series have an mlp, which
    found more planted anomalies than a recurrent network, in a hundredth of the time.
    """
    views, y = [data.name], None if data.series else data.train.y
    if y is not None and y.ndim == 1 and set(y) == set(data.test.y):
        known, step = np.unique(y), 1 if len(y) > 10_000 else 3
        views = [datasets.view(data, [k]) for k in known[:10:step]]
    size = tasks.size(data if views == [data.name] else tasks.loaded(views[0]))
    width = min(16, max(1, data.train.x[0].size // 4))
    values = size | {"objective": "ae", "latent_dim": width}
    if y is None:
        often = max(1, size["epochs"] // 40)
        values |= {"select": "best", "eval_every": often}
    if data.series:
        values |= {"network": "mlp", "hidden": (128, 64)}
    return [tasks.Sweep("one-class", values, {"dataset": views})]


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
    distance = ranking.mahalanobis(represent.flat(model.encode(*normal)))
    weight = balance(valid.x, errors(model, valid))

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


def balance(x: np.ndarray, mse: np.ndarray) -> float:
    """What an mse counts in "both", where normal examples x (N, *S) have these (N,)."""
    return float(x[0].size / max(mse.mean(), 1e-12))


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


def apply(
    models: tasks.Models,
    data: datasets.Dataset,
    *,
    rate: float = 0.05,
    pca: tuple = (2, 30),
    contamination: float = 0.0,
    period: int = 0,
    score: str = DEFAULT,
) -> tasks.Result:
    """Ranks examples; where labels say which are anomalies, how well they are found.

    At most this ``rate`` of normal validation examples lie above thresholds. Models of
    single classes ``NAME:K`` are asked for the others: AUROC and AUPRC of every score
    on the test split, means over classes. Other models, of one data set, rank ``data``
    by the score "error" of the first; valid examples of their own are the normal ones.
    ``pca``: numbers of components, beside the models' own. Where this share of their
    examples may be anomalies, of ``contamination``, the models that rank are trained
    anew without the strangest, in two rounds. Of a series every step has a score, see
    ``timeline``: ``score`` error, window or mahalanobis; ``period`` is the steps of the
    seasonal forecast beside it.

    Raises:
      InputError: models of several data sets; a contamination of half or more.
    """
    if not 0 <= contamination < 0.5:
        raise config.InputError(
            f"contamination is {contamination:g}; it must lie in [0, 0.5), for "
            "anomalies are the lesser part of what models are trained on"
        )
    views = tasks.by_dataset(models)
    known = {n: data if n == data.name else tasks.loaded(n) for n in views}
    strange = {n: _strange(view, data) for n, view in known.items()}
    if data.series is None and all(s is not None for s in strange.values()):
        return _detected(views, known, strange, data, rate, pca)
    if len(views) > 1:
        raise config.InputError(
            f"models of {config.listed(views)} are no models of single classes of "
            f"'{data.name}', each of which would be asked for the others: choose those "
            "of one data set, --where dataset=NAME"
        )
    (view,) = known.values()
    if data.series is None:
        return _ranked(models, view, data, rate, pca, contamination)
    if contamination:
        models, kept = ranking.trimmed(models, view, contamination, _errors)
        view = datasets.taken(view, kept)
    return timeline.apply(models, view, data, rate, pca, period, score)


def _cut(data: datasets.Dataset, split: str) -> datasets.Split:
    return tasks.held_out(data, split)._replace(y=None)


def _errors(model, data: datasets.Dataset, split: str) -> np.ndarray:
    return errors(model, _cut(data, split))


def _file(model, view, data, limit: float, normal, kept=()) -> dict[str, bytes]:
    """scores.csv of all examples by one model's errors, ``normal`` are the valid ones.

    ``kept`` as of ``trimmed``.
    """
    scored = {s: _errors(model, data, s) for s in datasets.SPLITS}
    used: dict[str, Any] = dict.fromkeys(scored, "new")
    if _whole(view) == _whole(data):
        used = {s: np.full(len(v), s, object) for s, v in scored.items()}
        for split in kept:
            used[split][~kept[split]] = "trimmed"
    return {"scores.csv": ranking.table(data, scored, normal, limit, used)}


def _whole(data: datasets.Dataset) -> str:
    """The name of a data set without its choice of classes."""
    return datasets.classes_of(data.name)[0]


def _ranked(models, view, data, rate: float, pca, dirty: float) -> tasks.Result:
    """Of data without labels: alarms, agreement, the strangest and where they are."""
    kept, counts = {}, {s: len(getattr(view, s).x) for s in datasets.SPLITS}
    if dirty:
        models, kept = ranking.trimmed(models, view, dirty, _errors)
        view = datasets.taken(view, kept)
    train, valid = _cut(view, "train"), _cut(view, "valid")
    splits = ("test",) if _whole(view) == _whole(data) else datasets.SPLITS
    asked = ranking.joined([_cut(data, split) for split in splits])
    scored: ranking.Scored = {}
    for prefix, score in systems(models, train, valid, pca).items():
        before, after = score(valid), score(asked)
        scored |= {prefix + kind: (before[kind], v) for kind, v in after.items()}
    (name, *_), (first, *_) = tasks.named(models), models
    ours = f"{name} {DEFAULT}"
    normal, values = scored[ours]
    rows, count = ranking.rows(scored, ours, rate)
    picks = ranking.order(values)[: 5 if asked.x.ndim == 2 else 10]
    some = datasets.picked(asked, picks)
    usual = valid.x - first.reconstruct(*valid)
    names = ranking.places(data, splits)
    words = [f"{names[i]}\n{values[i] / np.median(normal):.1f} ×" for i in picks]
    called = datasets.positions(data)
    title = f"{name}: strangest, × the usual error"
    pictures: list[panels.Panel] = [
        ranking.where(title, some.x, first.reconstruct(*some), usual, words, called),
        ranking.tail(
            f"Errors of {name}", {"valid": normal, " + ".join(splits): values}
        ),
    ]
    limit = ranking.threshold(normal, rate)
    text = (
        f"Without labels of anomalies. Of {len(values)} examples ({', '.join(splits)} "
        f"of '{data.name}') {(values > limit).sum()} have errors of '{name}' above "
        f"{limit:.3g}, which at most {rate:.0%} of {len(valid.x)} valid ones have: so "
        "many alarms are to be expected without an anomaly. Of the discoveries "
        f"(Benjamini & Hochberg) at most {rate:.0%} are false, on average. Agreement "
        f"is the share of the {count} strangest by '{name}' that others have among "
        "theirs. scores.csv ranks all; p-values of examples that the model was trained "
        "on are too large. If there were anomalies among these, fewer are found."
    )
    if data.test.y is not None:
        text += (
            " Models of single classes, --dataset NAME:CLASS, are asked for the others "
            "and tell how well these are found."
        )
    if dirty:
        lost = [f"{(~kept[s]).sum()} of {counts[s]} {s}" for s in kept]
        text += (
            f" The strangest, {' and '.join(lost)} examples, were left out and the "
            "models trained anew, in two rounds; baselines know the same."
        )
    return tasks.Result(
        rows, pictures, text, _file(first, view, data, limit, normal, kept)
    )


def _detected(views, known, strange, data, rate: float, pca) -> tasks.Result:
    """Of models of single classes, by the labels of the test split."""
    compared, test = [], _cut(data, "test")
    for name, members in views.items():
        train, valid = (_cut(known[name], split) for split in ("train", "valid"))
        for prefix, score in systems(members, train, valid, pca).items():
            before, after = score(valid), score(test)
            for kind, values in after.items():
                row = ranking.detection(strange[name], before[kind], values, rate)
                compared.append(compare.Compared({}, prefix + kind, row))
    title = "Mean and range of normal classes"
    pictures: list[panels.Panel] = [compare.bars(title, compared, "auroc")]
    if len(views) > 1:
        normal = [datasets.classes_of(name)[1] or name for name in views]
        grid = compare.grid("AUROC by normal class", compared, "auroc", normal)
        pictures.append(grid)
    model, odd = members[0], strange[name]
    x_hat, order = model.reconstruct(*test), np.argsort(errors(model, test))
    missed, false = order[odd[order]][:10], order[~odd[order]][:-11:-1]
    for kind, picks in (("anomalies, least", missed), ("normal, largest", false)):
        pair = ("test", "", test.x[picks]), ("output", "", x_hat[picks])
        pictures.append(panels.Images(f"{name}, {kind} error", pair))
    text = (
        f"Means over normal classes, {len(views)} in turn. Test examples of the others "
        f"are anomalies: of {len(test.x)} {odd.mean():.0%} for '{name}'. The score "
        f"'{DEFAULT}' was fixed beforehand; baselines know the same training examples. "
        f"At most {rate:.0%} of the normal validation examples, {len(valid.x)} for "
        f"'{name}', exceed the threshold; the rates of alarms are those on test."
    )
    files = {}
    if len(views) == 1:
        usual = _errors(model, known[name], "valid")
        files = _file(model, known[name], data, ranking.threshold(usual, rate), usual)
    return tasks.Result(compare.means(compared), pictures, text, files)


def _strange(view: datasets.Dataset, data: datasets.Dataset) -> np.ndarray | None:
    """Test examples of classes that a model does not know; None if that is unknown."""
    y = data.test.y
    if _whole(view) != _whole(data) or y is None or y.ndim > 1:
        return None
    strange = ~np.isin(y, view.train.y)
    return strange if 0 < strange.sum() < len(strange) else None
