"""What the estimators share: parameters, X and its units, training, what is pickled."""

import json
import math
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from sklearn import base
from sklearn.utils import check_random_state, validation

from aejax import autoencoder, networks, tasks
from aejax import config as configs
from aejax import data as datasets
from aejax.data import standard
from aejax.estimators import population
from aejax.exports import arrays as stored

# Rows computed with at once. Always so many, filled up with zeros: what comes of a row
# depends on no other, which rounding would make it do in batches of other sizes.
ROWS = 512
DRAWS_AT_ONCE = 8192  # rows times importance samples, which a decoder is given together


class Base(base.BaseEstimator):
    """Parameters and fitted state of one autoencoder of rows X (N, D)."""

    _parameter_names = ("objective", "network", "likelihood", "learning_rate", "hidden")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        known = networks.NETWORKS
        reads = self.network in known and known[self.network].reads_missing
        tags.input_tags.allow_nan = bool(reads)
        return tags

    @property
    def partial_fit(self):
        """Not there."""
        raise AttributeError(
            f"{type(self).__name__} has no partial_fit: a program is compiled for all "
            "of the data, which stay on the device, and trains in one go; give fit all "
            "rows, or train from files that stream with aejax.sweep"
        )

    # What goes in

    def _checked(self, X: Any, reset: bool) -> np.ndarray:
        """X (N, D) as floats, of the columns that it was fitted to."""
        if self.shape is not None and np.ndim(X) == len(self.shape) + 1:
            X = np.reshape(X, (len(X), -1))
        finite = "allow-nan" if self.__sklearn_tags__().input_tags.allow_nan else True
        X = validation.validate_data(
            self,
            X,
            reset=reset,
            dtype=(np.float64, np.float32),
            ensure_all_finite=finite,
        )
        if reset and self.shape is not None:
            if math.prod(self.shape) != X.shape[1] or not 1 <= len(self.shape) <= 3:
                raise configs.InputError(
                    f"shape is {self.shape}, which are {math.prod(self.shape)} numbers "
                    f"a row, and X has {X.shape[1]}; give (H, W, C), (H, W) or (T, F)"
                )
        return X

    def _shaped(self, X: np.ndarray) -> np.ndarray:
        """X (N, D) as examples (N, *S); grey images get their channel."""
        shape = tuple(self.shape or X.shape[1:])
        if len(shape) == 2 and "images" in networks.NETWORKS[self.network].needs:
            shape += (1,)
        return X.reshape(len(X), *shape)

    # Training

    def _standard(self, X: np.ndarray) -> standard.Standard:
        """Center and spread of the last axis of examples, by these rows."""
        x = self._shaped(np.float64(X))
        flat = x.reshape(-1, x.shape[-1])
        if (empty := np.isnan(flat).all(0)).any():
            raise configs.InputError(
                f"feature {int(empty.argmax())} of X has no value in the {len(X)} rows "
                "to be trained on; fill it, or leave it out"
            )
        width = np.arange(flat.shape[1])
        if not self.standardize:
            return standard.Standard(width, width * 0.0, width * 0.0 + 1.0)
        return standard.fit(flat, width, "zscore")

    def _dataset(
        self, X: np.ndarray, kept: np.ndarray, unit: standard.Standard, known: Any
    ) -> datasets.Dataset:
        """A Dataset of rows X in standard units; ``kept`` are for validation.

        Of ``known``, all rows that there are, one with a missing value stands in test:
        whatever fold is trained on, a program knows that values may be missing.
        """
        missing = known[np.isnan(known).any(1)][:1]
        parts = [scaled(self._shaped(rows), unit) for rows in (X, kept, missing)]
        splits = map(datasets.Split, parts)
        return datasets.Dataset(population.NAME, *splits, "gaussian", 1.0)

    def _config(self, n: int, validated: bool = False, **values: Any) -> configs.Config:
        """The Config for n rows, these values first; the best on valid if there is."""
        size = tasks.schedule(n, self.batch_size)
        fields = {name: getattr(self, name) for name in self._parameter_names}
        if self.epochs is not None:
            size |= {"epochs": self.epochs, "eval_every": self.epochs}
        if validated:
            often = max(1, size["epochs"] // 40)
            size |= {"select": "best", "eval_every": often}
        for name in ("config", "hparams"):
            if not isinstance(getattr(self, name) or {}, Mapping):
                raise configs.InputError(
                    f"{name} is {getattr(self, name)!r}; it must be {{name: value}}"
                )
        more, hparams = dict(self.config or {}), dict(self.hparams or {})
        if unknown := sorted({*more} - {*configs.FIELDS}):
            raise configs.unknown("field of config", unknown[0], configs.FIELDS)
        hparams |= {n: values.pop(n) for n in {*values} - {*configs.FIELDS}}
        made = configs.Config(**fields | size | more | values | {"hparams": hparams})
        if made.likelihood == "auto":
            made = made.replace(likelihood=_likelihood(made.objective))
        return made

    def _seeds(self, count: int) -> list[int]:
        draw = check_random_state(self.random_state).randint
        return [int(seed) for seed in draw(2**31 - 1, size=count)]

    def _fit_model(self, X: np.ndarray, kept: np.ndarray, **values: Any) -> None:
        """Trains one model on rows X, and keeps it with its units."""
        unit, config = self._standard(X), self._config(len(X), len(kept) > 0, **values)
        data = self._dataset(X, kept, unit, np.concatenate([X, kept]))
        (model,) = population.Trainer(config, {}).train(data)
        if model is None:
            raise configs.InputError(
                "training diverged: the loss is not finite any more; give a smaller "
                f"learning_rate than {self.learning_rate:g}, or config={{'clip_norm': "
                "1.0}"
            )
        self.model_, self.latent_dim_ = model, model.latent_dim
        self.mean_, self.scale_ = (np.asarray(a, float) for a in unit[1:3])

    @property
    def _unit(self) -> standard.Standard:
        return standard.Standard(np.arange(len(self.mean_)), self.mean_, self.scale_)

    # What is pickled: arrays, JSON and the names of our classes

    def __getstate__(self):
        state = dict(super().__getstate__())
        for name in ("_family", "_offspring"):  # of a search in this process
            state.pop(name, None)
        if (model := state.pop("model_", None)) is not None:
            facts = json.dumps(stored.facts(model))
            state["_stored"] = {"facts": facts, "arrays": stored.arrays(model)}
        return state

    def __setstate__(self, state):
        kept = (state := dict(state)).pop("_stored", None)
        super().__setstate__(state)
        if kept is not None:
            where = f"this pickled {type(self).__name__}"
            parts = stored.parts(json.loads(kept["facts"]), kept["arrays"], where)
            more = population.functions(parts.spec)
            self.model_ = autoencoder.Autoencoder.of(parts, more)


def _likelihood(objective: str) -> str:
    """Of numbers in standard units: with a σ of its own where p(x) is asked for."""
    from aejax import objectives

    has_density = objectives.OBJECTIVES[objective].log_weight is not None
    return "gaussian_learned" if has_density else "gaussian"


def parted(X: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on, and this share of all, drawn at random, held out.

    None of so few that the share is not half a row.

    Raises:
      InputError: no share between 0 and 1.
    """
    if not 0 < share < 1:
        raise configs.InputError(
            f"validation_fraction is {share!r}; it must lie in (0, 1)"
        )
    order = np.random.default_rng(seed).permutation(len(X))
    count = round(share * len(X))
    return X[order[count:]], X[order[:count]]


def scaled(x: np.ndarray, unit: standard.Standard) -> np.ndarray:
    """x (N, *S) in standard units, float32.

    Raises:
      InputError: numbers that float32 does not have.
    """
    with np.errstate(over="ignore"):
        x = np.float32(unit.forward(x))
    if np.isinf(x).any():
        raise configs.InputError(
            "X has values beyond those of float32, about 3e38; standardize=True, or "
            "give them in another unit"
        )
    return x


def in_rows(run: Any, x: np.ndarray) -> Any:
    """``run(x)`` of x (N, …), always of ``ROWS`` at a time; its arrays (N, …)."""
    n = len(x)
    x = np.pad(x, ((0, -n % ROWS), *((0, 0),) * (x.ndim - 1)))
    return jax.tree.map(lambda a: a[:n], run(x))


def rows_scores(
    model: autoencoder.Autoencoder, x: np.ndarray, unit: standard.Standard, draws: int
) -> np.ndarray:
    """(N,) log p(x) in nats, in the units before ``unit``; −mse if there is none.

    By importance sampling with ``draws`` samples, whose noise depends on the row alone;
    −mse is in standard units.
    """
    if not model.has_likelihood:
        error = in_rows(lambda x: errors(model, x), x)
        return -np.float64(error)
    # Both words of a 64-bit seed would need another key: 32 bits do for noise.
    keys = np.array([zlib.crc32(row.tobytes()) for row in x], np.uint32)
    limit = max(1, DRAWS_AT_ONCE // draws)
    n, pad = len(x), -len(x) % limit
    padded = np.pad(x, ((0, pad), *((0, 0),) * (x.ndim - 1)))
    values = model.apply(
        "rows_log_likelihood",
        np.pad(keys, (0, pad)),
        padded,
        extra=lambda start: (np.zeros(draws, np.int8),),
        limit=limit,
    )[:n]
    spread = np.broadcast_to(np.log(unit.spread), x.shape).reshape(n, -1)
    return np.float64(values) - spread.sum(1, where=~np.isnan(x.reshape(n, -1)))


def errors(model: autoencoder.Autoencoder, x: np.ndarray) -> np.ndarray:
    """(N,) mse of reconstructions, of the values that are there."""
    difference = np.square(x - model.reconstruct(x)).reshape(len(x), -1)
    known = ~np.isnan(difference)
    total = np.where(known, difference, 0.0).sum(1)
    return total / np.maximum(known.sum(1), 1)
