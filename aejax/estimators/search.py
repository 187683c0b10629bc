"""``AutoencoderCV``: how many dimensions are needed, by cross-validation."""

import itertools
import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats
from sklearn import decomposition, model_selection

from aejax import config as configs
from aejax import evaluate
from aejax.estimators import parameters, population, rows, transformer


class AutoencoderCV(transformer.Autoencoder):
    """An ``Autoencoder`` whose latent size, and other numbers, folds have chosen.

    Latent sizes × seeds × whatever numbers ``param_grid`` has are one population, which
    a compiled program trains for one fold after the other. The smallest code within one
    standard error of the best is chosen (Breiman et al., 1984, section 3.4.3), and
    trained on all of X.

    Args:
      latent_dims: sizes to try; None: 1, 2, 4, … below the number of features.
      param_grid: {field of ``aejax.Config`` or hyperparameter of the objective:
        values}, {"beta": [0.5, 1, 4]} for example. Numbers are members of the one
        program; names and widths need one each.
      n_seeds: models of each setting and fold, which scores are means of.
      cv: folds; a number of them (rows are shuffled), or what scikit-learn takes.

    Others as of ``Autoencoder``, and its methods, of the model chosen.

    Attributes:
      latent_dim_: the size chosen.   best_params_, best_score_, best_index_: its
        setting, mean score (see ``score``) and place in ``cv_results_``.
      cv_results_: as of GridSearchCV: ``params``, ``param_…``, ``split0_test_score`` …,
        ``mean_test_score``, ``std_test_score``, ``rank_test_score``, and the same of
        ``mse``, in standard units.
      curve_: DataFrame, a line for each latent size, of its best setting: score and mse
        of held-out rows with 95 % intervals over folds, ``pca_mse`` beside them.
      n_splits_: folds.
    """

    def __init__(
        self,
        objective="vae",
        latent_dims=None,
        *,
        param_grid=None,
        n_seeds=3,
        cv=5,
        network="mlp",
        hidden=(128, 64),
        epochs=None,
        batch_size=None,
        learning_rate=3e-3,
        likelihood="auto",
        hparams=None,
        config=None,
        standardize=True,
        shape=None,
        early_stopping=True,
        validation_fraction=0.1,
        n_importance_samples=64,
        random_state=None,
    ):
        self.objective = objective
        self.latent_dims = latent_dims
        self.param_grid = param_grid
        self.n_seeds = n_seeds
        self.cv = cv
        self.network = network
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.likelihood = likelihood
        self.hparams = hparams
        self.config = config
        self.standardize = standardize
        self.shape = shape
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_importance_samples = n_importance_samples
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, groups: Any = None) -> "AutoencoderCV":
        """Tries all settings on all folds, and trains the one chosen on X (N, D).

        y and groups are for a ``cv`` that asks for them.

        Raises:
          ValueError: as of ``Autoencoder.fit``; no setting that has not diverged.
        """
        X = self._checked(X, reset=True)
        seeds, axes = self._seeds(self.n_seeds), parameters.axes(self, X.shape[1])
        splits = self._splits(X, y, groups)
        self.n_splits_ = len(splits)
        params, scores, pca = self._scores(X, splits, axes, seeds)
        self.cv_results_ = _results(params, scores)
        self.best_index_ = chosen(params, scores["score"])
        self.best_params_ = params[self.best_index_]
        self.best_score_ = float(self.cv_results_["mean_test_score"][self.best_index_])
        self.curve_ = _curve(params, scores, pca)
        best = {n: v for n, v in self.best_params_.items() if v is not None}
        self._fit_model(*self._parted(X), seed=seeds[0], **best)
        return self

    def _splits(self, X, y, groups) -> list[tuple[np.ndarray, np.ndarray]]:
        """(rows to train on, rows held out) of each fold; as many of all, if possible.

        Of folds whose sizes differ by one row, one is left out of the larger ones: one
        program serves them all.
        """
        cv = self.cv
        if cv is None or isinstance(cv, numbers.Integral):
            count, state = cv or 5, self._seeds(self.n_seeds + 1)[-1]
            cv = model_selection.KFold(count, shuffle=True, random_state=state)
        cv = model_selection.check_cv(cv, y)
        splits = list(cv.split(X, y, groups))
        if not splits:
            raise configs.InputError(f"cv={self.cv!r} gives no split")
        least = min(len(train) for train, _ in splits)
        return [
            (train[:least] if len(train) <= least + 1 else train, test)
            for train, test in splits
        ]

    def _scores(self, X, splits, axes, seeds):
        """Settings; their {"score", "mse"}, (settings, seeds, folds); PCA's mse."""
        trainers: dict[int, population.Trainer] = {}
        names, folds, pca = list(axes), [], []
        for train, test in splits:
            some, kept = self._parted(X[train])
            unit, n = self._standard(some), len(some)
            if n not in trainers:
                first = {"latent_dim": axes["latent_dim"][0]}
                first["objective"] = axes.get("objective", [self.objective])[0]
                config = parameters.config(self, n, len(kept) > 0, **first)
                trainers[n] = population.Trainer(config, axes | {"seed": seeds})
            trainer = trainers[n]
            models = trainer.train(self._dataset(some, kept, unit, X))
            a, x = (rows.scaled(self._shaped(part), unit) for part in (some, X[test]))
            measured = [self._measured(model, x, unit) for model in models]
            members = [(_setting(c, names), c.seed) for c in trainer.configs]
            folds.append(dict(zip(members, measured, strict=True)))
            pca.append(
                _pca(a.reshape(n, -1), x.reshape(len(x), -1), axes["latent_dim"])
            )
        settings = list(dict.fromkeys(s for s, _ in folds[0]))
        values = [[[f[s, seed] for f in folds] for seed in seeds] for s in settings]
        score, mse = np.moveaxis(np.array(values, float), -1, 0)
        params = [dict(zip(names, setting, strict=True)) for setting in settings]
        means = {k: float(np.mean([p[k] for p in pca])) for k in axes["latent_dim"]}
        return params, {"score": score, "mse": mse}, means

    def _measured(self, model, x, unit) -> tuple[float, float]:
        """Mean score and mse of held-out rows; NaN of a model that has diverged."""
        if model is None:
            return math.nan, math.nan
        mse = rows.batched(lambda x: rows.errors(model, x), x).mean()
        if not model.has_likelihood:
            return -mse, mse
        draws = self.n_importance_samples
        return rows.scores(model, x, unit, draws).mean(), mse


def _pca(a: np.ndarray, x: np.ndarray, sizes: Sequence[int]) -> dict[int, float]:
    """{latent size: mse of x (N, D) by PCA of a (n, D)}; NaN if values are missing."""
    if len(a) < 2 or np.isnan(a).any() or np.isnan(x).any():
        return dict.fromkeys(sizes, math.nan)
    top = min(max(sizes), *a.shape)
    pca = decomposition.PCA(top, svd_solver="full").fit(a)
    z = pca.transform(x)
    out = {}
    for k in sizes:
        kept = z * (np.arange(top) < k)[None]
        out[k] = float(np.square(x - pca.inverse_transform(kept)).mean())
    return out


def _setting(config: configs.Config, names: Sequence[str]) -> tuple:
    """The values of these names; None of a number that its objective lacks."""
    known = configs.FIELDS
    return tuple(
        getattr(config, n) if n in known else config.hparams.get(n) for n in names
    )


def chosen(params: Sequence[dict[str, Any]], scores: np.ndarray) -> int:
    """The place of the setting that the one-standard-error rule takes.

    Of the settings whose mean score is within a standard error, that of the best one
    over folds, those of the smallest code, and of these the best.

    Args:
      params: of each setting, ``latent_dim`` among them.
      scores: (settings, seeds, folds), the larger the better; NaN where a model has
        diverged.

    Raises:
      InputError: none has all of its models.
    """
    by_fold = scores.mean(1)  # a setting that diverges somewhere is none
    means = by_fold.mean(1)
    if np.isnan(means).all():
        raise configs.InputError(
            "every setting has models that diverged: the loss is not finite any more; "
            "give a smaller learning_rate, or config={'clip_norm': 1.0}"
        )
    best = int(np.nanargmax(means))
    count = by_fold.shape[1]
    error = by_fold[best].std(ddof=1) / math.sqrt(count) if count > 1 else 0.0
    near = np.flatnonzero(means >= means[best] - error)
    return int(min(near, key=lambda i: (params[i]["latent_dim"], -means[i])))


def _results(params, scores) -> dict[str, Any]:
    """``cv_results_``."""
    out: dict[str, Any] = {"params": list(params)}
    for name in params[0]:
        column = np.ma.array(np.empty(len(params), object))
        column[:] = [p[name] for p in params]
        out[f"param_{name}"] = column
    for measure, values in scores.items():
        by_fold = values.mean(1)
        for fold in range(by_fold.shape[1]):
            out[f"split{fold}_test_{measure}"] = by_fold[:, fold]
        out[f"mean_test_{measure}"] = by_fold.mean(1)
        out[f"std_test_{measure}"] = by_fold.std(1)
    worst = np.nan_to_num(out["mean_test_score"], nan=-np.inf)
    out["rank_test_score"] = stats.rankdata(-worst, method="min").astype(np.int32)
    return out


def _curve(params, scores, pca: dict[int, float]) -> Any:
    """``curve_``."""
    import pandas as pd

    means, lines = scores["score"].mean((1, 2)), []
    ranked = sorted(range(len(params)), key=lambda i: params[i]["latent_dim"])
    for k, places in itertools.groupby(ranked, lambda i: params[i]["latent_dim"]):
        place = max(places, key=lambda i: np.nan_to_num(means[i], nan=-np.inf))
        line = {"latent_dim": k}
        for measure, values in scores.items():
            ends = evaluate.interval(values[place].mean(0), measure == "mse")
            names = (measure, f"{measure}_low", f"{measure}_high")
            line |= dict(zip(names, ends, strict=True))
        lines.append(line | {"pca_mse": pca.get(k, math.nan)})
    return pd.DataFrame(lines)
