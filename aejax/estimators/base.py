"""What the estimators share: parameters, X and its units, training, what is pickled."""

import json
import math
from typing import Any

import numpy as np
from sklearn import base
from sklearn.utils import check_random_state, validation

from aejax import autoencoder, networks
from aejax import config as configs
from aejax import data as datasets
from aejax.data import standard
from aejax.estimators import parameters, population, rows
from aejax.exports import arrays as stored


class Base(base.BaseEstimator):
    """Parameters and fitted state of one autoencoder of rows X (N, D)."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        known = networks.NETWORKS
        reads = self.network in known and known[self.network].reads_missing
        tags.input_tags.allow_nan = bool(reads)
        return tags

    def __sklearn_is_fitted__(self):
        return hasattr(self, "model_")

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
        """X (N, D) as floats, of the columns fitted to; ``reset`` by ``fit``."""
        if reset:
            self.__dict__.pop("model_", None)  # or a fit that fails would leave it
            parameters.check(self)
        if self.shape is not None and np.ndim(X) > 2:
            if np.shape(X)[1:] != tuple(self.shape):
                raise configs.InputError(
                    f"X has shape {np.shape(X)}; shape={tuple(self.shape)} takes "
                    f"(N, {', '.join(map(str, self.shape))}), or rows of as many "
                    "numbers"
                )
            X = np.reshape(X, (len(X), -1))
        finite = "allow-nan" if self.__sklearn_tags__().input_tags.allow_nan else True
        X = validation.validate_data(
            self,
            X,
            reset=reset,
            dtype=(np.float64, np.float32),
            ensure_all_finite=finite,
        )
        if reset and self.shape is None and "sequence" in self._needs:
            raise configs.InputError(
                f"network '{self.network}' reads series: give shape=(T, F), steps and "
                "features of a row of X"
            )
        if reset and self.shape is not None and math.prod(self.shape) != X.shape[1]:
            raise configs.InputError(
                f"shape is {self.shape}, which are {math.prod(self.shape)} numbers "
                f"a row, and X has {X.shape[1]}"
            )
        return X

    @property
    def _needs(self) -> frozenset:
        known = networks.NETWORKS
        return known[self.network].needs if self.network in known else frozenset()

    def _shaped(self, X: np.ndarray) -> np.ndarray:
        """X (N, D) as examples (N, *S); (H, W), which is no series, has one channel."""
        shape = tuple(self.shape or X.shape[1:])
        if len(shape) == 2 and "sequence" not in self._needs:
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
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            unit = standard.fit(flat, width, "zscore")
        if not np.isfinite(unit.spread).all() or not (unit.spread > 0).all():
            raise configs.InputError(
                "X has features whose deviation float64 does not have: give them in "
                "another unit"
            )
        return unit

    def _dataset(
        self, X: np.ndarray, kept: np.ndarray, unit: standard.Standard, known: Any
    ) -> datasets.Dataset:
        """A Dataset of rows X in standard units; ``kept`` are for validation.

        Of ``known``, all rows that there are, one with a missing value stands in test:
        whatever fold is trained on, a program knows that values may be missing.
        """
        missing = known[np.isnan(known).any(1)][:1]
        parts = [rows.scaled(self._shaped(part), unit) for part in (X, kept, missing)]
        splits = map(datasets.Split, parts)
        return datasets.Dataset(population.NAME, *splits, "gaussian", 1.0)

    def _seeds(self, count: int) -> list[int]:
        draw = check_random_state(self.random_state).randint
        return [int(seed) for seed in draw(2**31 - 1, size=count)]

    def _fit_model(self, X: np.ndarray, kept: np.ndarray, **values: Any) -> None:
        """Trains one model on rows X, and keeps it with its units."""
        unit = self._standard(X)
        config = parameters.config(self, len(X), len(kept) > 0, **values)
        data = self._dataset(X, kept, unit, np.concatenate([X, kept]))
        trainer = population.Trainer(config, {})
        (model,) = trainer.train(data)
        if model is None:
            raise configs.InputError(
                "training diverged: the loss is not finite any more; give a smaller "
                f"learning_rate than {self.learning_rate:g}, or config={{'clip_norm': "
                "1.0}"
            )
        # As from a pickle: without the data, which a model of a run has at hand.
        kept = stored.parts(stored.facts(model), stored.arrays(model))
        self.model_ = autoencoder.Autoencoder.of(kept, trainer.functions[0])
        self.latent_dim_ = model.latent_dim
        self.mean_, self.scale_ = (np.asarray(a, float) for a in unit[1:3])

    @property
    def _unit(self) -> standard.Standard:
        return standard.Standard(np.arange(len(self.mean_)), self.mean_, self.scale_)

    # What comes out

    def _scaled(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """X (N, D) checked, and as the model takes it."""
        validation.check_is_fitted(self)
        X = self._checked(X, reset=False)
        return X, rows.scaled(self._shaped(X), self._unit)

    def _codes(self, x: np.ndarray) -> np.ndarray:
        """(N, k) of examples in standard units; vectors beside each other."""
        z = rows.batched(self.model_.encode, x)
        return np.concatenate(z, axis=1) if isinstance(z, tuple) else z

    def _given(self, x: np.ndarray, kind: Any) -> np.ndarray:
        """(N, D) in the units of X, of examples as the model gives them."""
        return self._unit.inverse(x).reshape(len(x), -1).astype(kind)

    def reconstruct(self, X: Any) -> np.ndarray:
        """X (N, D) as it comes back from its codes; NaN too, which it fills."""
        X, x = self._scaled(X)
        return self._given(rows.batched(self.model_.reconstruct, x), X.dtype)

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
