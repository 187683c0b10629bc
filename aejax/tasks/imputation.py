"""What is missing, filled: by a model, once or many times; by scikit-learn's imputers.

x are (N, D) in data units with NaN for what is missing.
"""

import functools
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from aejax import autoencoder, config, losses, objectives, settings
from aejax import data as datasets

NEIGHBOURS = (1, 3, 5, 10, 20)  # of which the number is chosen
ROWS = 10_000  # that imputers without a model are fitted to
DRAWS = 39  # whose ends are a 95 % interval
ROUNDS = 20  # of a model that was never shown what is missing
WIDE = 100  # columns above which a regression takes the nearest ones only


class Filled(NamedTuple):
    """x (N, D) without NaN, and draws (M, N, D) of what may stand there; or None."""

    x: np.ndarray
    draws: np.ndarray | None = None


def single(
    model: autoencoder.Autoencoder, x: np.ndarray, y=None, start: np.ndarray | float = 0
) -> np.ndarray:
    """x (N, D) with the model's reconstructions for what is missing.

    A model whose data had missing values, or that was trained to fill hidden ones, is
    shown x once. Another is shown ``start`` (D,), means of its training data say, in
    their place, and then what it made of it, ``ROUNDS`` times (Rezende, Mohamed &
    Wierstra, ICML 2014, appendix F).
    """
    known = ~np.isnan(x)
    if model.model.likelihood.missing:
        return np.where(known, x, model.reconstruct(x, y, corrupted=True))
    out = np.where(known, x, np.broadcast_to(np.float32(start), x.shape))
    for _ in range(ROUNDS):
        out = np.where(known, x, model.reconstruct(out, y, corrupted=True))
    return out


def can_draw(model: autoencoder.Autoencoder) -> bool:
    """Whether ``multiple`` takes it: it reads what is missing, and has p(x|z), a normal
    prior and a Gaussian q(z|x)."""
    return (
        model.model.likelihood.missing
        and model.has_likelihood
        and model.has_normal_prior
        and objectives.OBJECTIVES[model.config.objective].heads == 2
    )


def multiple(
    model: autoencoder.Autoencoder,
    x: np.ndarray,
    y=None,
    *,
    samples: int = 200,
    draws: int = DRAWS,
    seed: int = 0,
) -> Filled:
    """x (N, D) with means, and draws, of what is missing given what is not.

    Mattei & Frellsen, ICML 2019 (MIWAE), eq. 12: E[x_mis | x_obs] ≈ Σ w_k E[x | z_k],
    z_k from q(z | x_obs) and w_k ∝ p(x_obs | z_k) p(z_k) / q(z_k | x_obs); draws are
    resampled by these weights (section 3.2).

    Args:
      samples: z_k of each example; draws: of x, which are kept; 0 for means alone.

    Raises:
      InputError: a model that cannot, see ``can_draw``.
    """
    if not can_draw(model):
        raise config.InputError(
            f"objective '{model.config.objective}' gives no multiple imputations of "
            f"'{model.config.dataset}': that takes vae, beta_vae or iwae, trained on "
            "data with missing values (TABLE@hide=0.2, say)"
        )
    batch = model.batch(x, y)
    limit = max(1, min(512, 2**22 // (samples * x.shape[1])))
    run = functools.partial(_posterior, model, model.params, samples, draws)
    key = jax.random.key(seed)
    mean, drawn = autoencoder.in_batches(
        run, batch, extra=lambda start: (jax.random.fold_in(key, start),), limit=limit
    )
    known = ~np.isnan(x)
    if not draws:
        return Filled(np.where(known, x, mean))
    drawn = np.where(known[None], x[None], np.moveaxis(drawn, 1, 0))
    return Filled(np.where(known, x, mean), drawn)


@functools.partial(jax.jit, static_argnums=(0, 2, 3))
def _posterior(one, params, samples: int, draws: int, key, batch):
    """Means (B, D) and draws (B, M, D) of x given what is observed of it."""
    model = one.model

    def sample(key):
        key_z, key_x = jax.random.split(key)
        mu, logvar = model.encode(params, batch)
        z = model.sample(key_z, mu, logvar)
        decoded = model.decode(params, z, batch)
        nll = model.likelihood.nll(batch, decoded)
        x = model.likelihood.sample(key_x, decoded)
        return losses.log_weight(nll, z, mu, logvar), model.likelihood.mean(decoded), x

    key, key_pick = jax.random.split(key)
    with settings.matmul_precision(one.config.precision):
        log_w, mean, x = jax.vmap(sample)(jax.random.split(key, samples))  # (K, B, …)
    weights = jax.nn.softmax(log_w, axis=0)[..., None]
    picks = jax.random.categorical(key_pick, log_w, axis=0, shape=(draws, len(mean[0])))
    drawn = jnp.take_along_axis(x, picks[..., None], axis=0)  # (M, B, D)
    return (weights * mean).sum(0), jnp.moveaxis(drawn, 0, 1)


def whole(data: datasets.Dataset, x: np.ndarray) -> np.ndarray:
    """x (N, D) with booleans 0 or 1 and one category of each column: the likeliest."""
    x = x.copy()
    for column in data.columns:
        some = slice(column.start, column.start + column.width)
        if column.kind == "boolean":
            x[:, some] = x[:, some] >= 0.5
        if column.kind == "category":
            x[:, some] = np.eye(column.width)[x[:, some].argmax(1)]
    return x


def constant(train: np.ndarray, statistic: Callable = np.nanmean) -> Callable:
    """Function of x that fills with a statistic of each training column, drawn from its
    observed values; of columns of 0 and 1 with the mean, whose largest is the mode."""
    bits = ((train == 0) | (train == 1) | np.isnan(train)).all(0)
    value = np.where(bits, np.nanmean(train, 0), statistic(train, axis=0))
    value = np.float32(value)
    columns = [column[~np.isnan(column)] for column in train.T]

    def fill(x: np.ndarray, y=None, draws: int = DRAWS) -> Filled:
        known, rng = ~np.isnan(x), np.random.default_rng(0)
        if not draws:
            return Filled(np.where(known, x, value[None]))
        drawn = np.stack([rng.choice(c, (draws, len(x))) for c in columns], -1)
        return Filled(np.where(known, x, value[None]), np.where(known[None], x, drawn))

    return fill


def neighbours(train: np.ndarray, count: int) -> Callable:
    """Function of x: scikit-learn's KNNImputer (Troyanskaya et al., 2001)."""
    from sklearn import impute

    fit = impute.KNNImputer(n_neighbors=count, keep_empty_features=True).fit(train)
    return lambda x, y=None, draws=0: Filled(fit.transform(x))


def regressions(train: np.ndarray, rounds: int = 10, ridge: float = 0.0) -> Callable:
    """Function of x: scikit-learn's IterativeImputer (van Buuren's chained equations).

    By Bayesian ridge regression, whose posterior gives draws; or by one of this
    ``ridge`` penalty, without them. More rounds may be worse: what they fill has no
    noise, so that columns that go together are trusted ever more.
    """
    from sklearn import exceptions, impute, linear_model
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401

    near = WIDE if train.shape[1] > WIDE else None
    make = functools.partial(
        impute.IterativeImputer,
        linear_model.Ridge(ridge) if ridge else linear_model.BayesianRidge(),
        max_iter=rounds,
        n_nearest_features=near,
        keep_empty_features=True,
        random_state=0,
    )

    @functools.cache
    def fitted(sample_posterior: bool) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
            return make(sample_posterior=sample_posterior).fit(train)

    def fill(x: np.ndarray, y=None, draws: int = DRAWS) -> Filled:
        mean = fitted(False).transform(x)
        if ridge or not draws:
            return Filled(mean)
        drawn = np.stack([fitted(True).transform(x) for _ in range(draws)])
        return Filled(mean, drawn)

    return fill


def interval(draws: np.ndarray, share: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Ends (N, D) of the central interval of draws (M, N, D), by Weibull's positions:
    a further draw lies between them with this probability."""
    rest = (1 - share) / 2
    return tuple(np.quantile(draws, (rest, 1 - rest), axis=0, method="weibull"))


def errors(
    data: datasets.Dataset,
    x: np.ndarray,
    away: np.ndarray,
    filled: Filled,
    spread: np.ndarray,
) -> dict[str, float]:
    """Columns of what was ``away`` (N, D) of x: rmse over numbers in their ``spread``
    (D,), error rate over booleans and categories, coverage of numbers' 95 % interval.

    None where there is nothing of that kind.
    """
    number = np.ones(x.shape[1], bool)
    first = np.zeros(x.shape[1], bool)
    for column in data.columns:
        number[column.start : column.start + column.width] = column.kind == "number"
        first[column.start] = column.kind != "number"
    numbers, out = away & number, {}
    gap = ((filled.x - x) / spread)[numbers]
    out["rmse"] = math.sqrt(np.square(gap).mean()) if gap.size else None
    if first.any():
        wrong = _wrong(data, x, whole(data, filled.x))[away & first]
        out["error rate"] = float(wrong.mean()) if wrong.size else None
    out["coverage"] = None
    if filled.draws is not None and gap.size:
        low, high = interval(filled.draws)
        out["coverage"] = float(((low <= x) & (x <= high))[numbers].mean())
    return out


def _wrong(data: datasets.Dataset, x: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """(N, D) bool: at a column's first position, whether any of its differ."""
    out = np.zeros(x.shape, bool)
    for column in data.columns:
        some = slice(column.start, column.start + column.width)
        out[:, column.start] = (x[:, some] != guess[:, some]).any(1)
    return out


def spread(train: np.ndarray) -> np.ndarray:
    """(D,) deviations of the training columns; 1 of constant ones."""
    deviation = np.nanstd(train, 0)
    return np.where(deviation > 0, deviation, 1.0)


def systems(
    train: np.ndarray, models: Mapping[str, autoencoder.Autoencoder]
) -> dict[str, dict[str, Callable]]:
    """{system: {setting: (x (N, D), y, draws) -> Filled}}: the models by objective, and
    what scikit-learn has, fitted to ``ROWS`` training rows at most."""
    start = np.float32(np.nanmean(train, 0))
    plain = {"mean": constant(train), "median": constant(train, np.nanmedian)}
    train = train[:: -(-len(train) // ROWS)]
    made: dict[str, dict[str, Callable]] = {
        **{name: {"": fill} for name, fill in plain.items()},
        "KNNImputer": {f"neighbours={k}": neighbours(train, k) for k in NEIGHBOURS},
        "IterativeImputer": {
            **{f"rounds={n}": regressions(train, n) for n in (1, 3, 10)},
            **{f"ridge={w}": regressions(train, 10, w) for w in (1, 10, 100)},
        },
    }
    for name, model in models.items():
        objective, *more = name.split(" ")
        words = " ".join(w for w in more if not w.startswith("dataset="))
        choices = made.setdefault(f"{objective} single", {})
        choices[words] = functools.partial(_once, model, start)
        if can_draw(model):
            choices = made.setdefault(f"{objective} multiple", {})
            choices[words] = functools.partial(multiple, model)
    return made


def _once(model: autoencoder.Autoencoder, start: np.ndarray, x, y=None, draws=0):
    return Filled(single(model, x, y, start))
