"""``Autoencoder``: scikit-learn's fit, transform and inverse_transform."""

import warnings
from typing import Any

import jax
import numpy as np
from sklearn import base
from sklearn.utils import check_random_state, validation

from aejax.estimators import base as bases
from aejax.estimators import parameters, rows

_MANY = 3  # settings of one search, from which on a warning names AutoencoderCV


class Autoencoder(
    base.ClassNamePrefixFeaturesOutMixin, base.TransformerMixin, bases.Base
):
    """An autoencoder of rows X (N, D) as a scikit-learn transformer.

    X are floats, in standard units inside and in yours outside. Networks ``mlp``,
    ``linear`` and ``linear_tied`` take NaN for a value that is missing: it is left out
    of the loss, and reconstructions have it.

    Args:
      objective: name (``aejax.OBJECTIVES``), or path to a file.
      latent_dim: size k of the code.
      network: name (``aejax.NETWORKS``).   hidden: its widths.
      epochs: passes over X; None: as many as make 1,600 steps, at least ten.
      batch_size: None: 128, of less than 1,024 rows 32; never more than X has.
      learning_rate: Adam's.
      likelihood: p(x|z); "auto" is a Gaussian, of one learned σ where p(x) is defined.
      hparams: of the objective, {"beta": 4.0} for example.
      config: further fields of ``aejax.Config``, {"optimizer": "adamw"} for example.
      standardize: whether each feature (channel, of images) is brought to mean 0 and
        deviation 1 first, by the rows that are trained on.
      shape: of an example where X are images (H, W, C), (H, W) or series (T, F), each a
        row of X.
      early_stopping: keeps the parameters of the lowest loss on held-out rows. All
        epochs are trained; it is the choice that is early.
      validation_fraction: of the rows, held out for that.
      n_importance_samples: of ``score_samples``, a row.
      random_state: int, RandomState or None.

    Attributes:
      model_: the trained ``aejax.autoencoder.Autoencoder``, in standard units.
      latent_dim_: k.
      mean_, scale_: (D,), of images (C,): x = (X - mean_) / scale_.
      n_features_in_, feature_names_in_: as everywhere in scikit-learn.
    """

    def __init__(
        self,
        objective="vae",
        latent_dim=8,
        *,
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
        self.latent_dim = latent_dim
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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __sklearn_clone__(self):
        # Clones of one estimator are told apart by what a search sets them to.
        clone = super().__sklearn_clone__()
        clone._family = self.__dict__.setdefault("_offspring", set())
        return clone

    def fit(self, X: Any, y: Any = None) -> "Autoencoder":
        """Trains on X (N, D); y is ignored.

        Raises:
          ValueError: X that cannot be used, settings that do not fit together or to it,
            training that diverges.
        """
        X = self._checked(X, reset=True)
        self._warn_of_searches()
        (seed,) = self._seeds(1)
        self._fit_model(*self._parted(X), latent_dim=self.latent_dim, seed=seed)
        return self

    def _parted(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows to train on, and rows held out, none if nothing is chosen by them."""
        if not self.early_stopping:
            return X, X[:0]
        return rows.parted(X, self.validation_fraction, self._seeds(1)[0])

    def _warn_of_searches(self) -> None:
        family = getattr(self, "_family", None)
        if family is None or len(family) >= _MANY:
            return
        given = self.get_params(deep=False)
        family.add(str({n: v for n, v in given.items() if n != "random_state"}))
        if len(family) == _MANY:
            warnings.warn(
                "clones of this Autoencoder are fitted with several settings, as by "
                "GridSearchCV, and each compiles a program of its own; "
                "aejax.estimators.AutoencoderCV trains all latent sizes, seeds, folds "
                "and numbers of param_grid as one",
                stacklevel=3,
            )

    # What a fitted one does

    def transform(self, X: Any) -> np.ndarray:
        """Codes (N, k) of X (N, D); those of vectors, of vq_vae, beside each other."""
        X, x = self._scaled(X)
        return self._codes(x).astype(X.dtype)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """E[x | z], (N, D) in your units, of codes X (N, k)."""
        validation.check_is_fitted(self)
        Z = validation.check_array(X, dtype=(np.float64, np.float32))
        if Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {Z.shape[1]} features, but the codes of this "
                f"{type(self).__name__} have {self._n_features_out}"
            )
        x = rows.batched(self._decode, np.float32(Z))
        return self._given(x, Z.dtype)

    def _decode(self, z: np.ndarray) -> np.ndarray:
        vectors = np.split(z, self._vectors, axis=1)
        return self.model_.decode(vectors[0] if self._vectors == 1 else tuple(vectors))

    def score_samples(self, X: Any) -> np.ndarray:
        """(N,) log p(x) of X's rows in nats, of their units; −mse where there is none.

        By importance sampling (Burda et al., ICLR 2016, eq. 8): a lower bound on
        average. −mse, of objectives that define no p(x), is in standard units. Of
        values between 0 and 1 under a Bernoulli likelihood it is a cross-entropy.
        """
        _, x = self._scaled(X)
        return rows.scores(self.model_, x, self._unit, self.n_importance_samples)

    def score(self, X: Any, y: Any = None) -> float:
        """Mean of ``score_samples(X)``: the larger the better."""
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """E[x | z] of codes from the prior, (n_samples, D) in your units.

        Of an objective without a prior the codes are of a Gaussian, fitted to those of
        the training rows (Ghosh et al., ICLR 2020). p(x|z)'s noise is left out.
        """
        validation.check_is_fitted(self)
        n_samples = parameters.whole("n_samples", n_samples, 1)
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        x = self.model_.sample(jax.random.key(seed), n_samples)
        return self._given(x, np.float64)

    @property
    def _vectors(self) -> int:
        """Of how many numbers a code has each of its k: 1, but for codebooks."""
        return self.model_.spec.model.network_spec.inputs

    @property
    def _n_features_out(self) -> int:
        return self.latent_dim_ * self._vectors
