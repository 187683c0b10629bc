"""``AutoencoderDetector``: what is strange, as scikit-learn's detectors say it."""

import math
import warnings
from typing import Any

import numpy as np
from sklearn import base, covariance

from aejax import config as configs
from aejax import objectives
from aejax.estimators import base as bases
from aejax.estimators import parameters, rows
from aejax.tasks import anomaly

SCORES = ("error", "mahalanobis", "both", "nll")


class AutoencoderDetector(base.OutlierMixin, bases.Base):
    """Finds rows of X (N, D) that an autoencoder of the others does not give back.

    The scores are those of ``python -m experiments.apply anomaly``. Parameters of the
    lowest loss on held-out rows are kept: what holds anomalies is not to be learned by
    heart.

    Args:
      scoring: "error", the mse of the reconstruction; "mahalanobis", the distance of
        the code from those of training rows; "both", their sum; "nll", −log p(x) by
        importance sampling, of objectives that define it.
      contamination: share of X that may be anomalies, which sets the threshold; None:
        ``false_alarm_rate`` does.
      false_alarm_rate: share of new normal rows, on average, beyond the threshold: a
        rank among the scores of held-out rows (conformal: Bates et al., Annals of
        Statistics 51, 2023). n of them can promise 1 / (n + 1) and no less.
      validation_fraction: of the rows, held out; they choose the parameters too, which
        the promise leaves out of account.
      latent_dim: None: a quarter of the features, at most 16.

    Others as of ``Autoencoder``.

    Attributes:
      false_alarm_rate_: what the threshold promises; None with ``contamination``.
      offset_: ``decision_function`` is ``score_samples - offset_``.
      decision_scores_, labels_, threshold_: as PyOD has them, of the rows of ``fit``:
        the larger the stranger; 1 of anomalies, else 0; and the limit between.
      model_, latent_dim_, mean_, scale_, n_features_in_: as of ``Autoencoder``.
    """

    def __init__(
        self,
        objective="ae",
        latent_dim=None,
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
        scoring="error",
        contamination=None,
        false_alarm_rate=0.05,
        validation_fraction=0.2,
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
        self.scoring = scoring
        self.contamination = contamination
        self.false_alarm_rate = false_alarm_rate
        self.validation_fraction = validation_fraction
        self.n_importance_samples = n_importance_samples
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> "AutoencoderDetector":
        """Trains on X (N, D), anomalies and all; y is ignored.

        Raises:
          ValueError: as of ``Autoencoder.fit``; a share that is none.
        """
        X = self._checked(X, reset=True)
        self._check()
        seed, order = self._seeds(2)
        train, kept = rows.parted(X, self.validation_fraction, order)
        if not len(train) or not len(kept):
            raise configs.InputError(
                f"n_samples={len(X)} is too few: validation_fraction, "
                f"{self.validation_fraction:g}, leaves no row on one side"
            )
        size = self.latent_dim
        size = min(16, max(1, X.shape[1] // 4)) if size is None else size
        self._fit_model(train, kept, latent_dim=size, seed=seed)
        train, kept = (rows.scaled(self._shaped(x), self._unit) for x in (train, kept))
        self._measure(train, kept)
        self.decision_scores_ = self._strangeness(self._scaled(X)[1])
        self.threshold_, self.false_alarm_rate_ = self._threshold(kept)
        self.offset_ = -self.threshold_
        self.labels_ = (self.decision_scores_ > self.threshold_).astype(int)
        return self

    def _threshold(self, kept: np.ndarray) -> tuple[float, float | None]:
        """The limit of normal scores; the share of new normal rows beyond it."""
        if self.contamination is not None:
            share = 100 * (1 - self.contamination)
            return float(np.percentile(self.decision_scores_, share)), None
        scores = np.sort(self._strangeness(kept))
        n, rate = len(scores), self.false_alarm_rate
        rank = math.ceil((1 - rate) * (n + 1) - 1e-9)  # 0.95 · 20 is 19
        if rank > n:
            rank = n
            warnings.warn(
                f"false_alarm_rate is {rate:g}, for which {math.ceil(1 / rate) - 1} "
                f"rows must be held out; of {n} the largest score is the threshold, "
                f"which {1 / (n + 1):.1%} of new rows exceed: give more rows, or a "
                "larger validation_fraction",
                stacklevel=3,
            )
        return float(scores[rank - 1]), (n + 1 - rank) / (n + 1)

    def score_samples(self, X: Any) -> np.ndarray:
        """(N,) how normal each row is: minus its score."""
        return -self._strangeness(self._scaled(X)[1])

    def decision_function(self, X: Any) -> np.ndarray:
        """(N,) ``score_samples`` minus ``offset_``: below 0 of anomalies."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """(N,) -1 of anomalies, else 1."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _check(self) -> None:
        """Refuses parameters of its own that no data could do with."""
        if self.scoring not in SCORES:
            raise configs.unknown("scoring", self.scoring, SCORES)
        known = objectives.OBJECTIVES[self.objective]
        if self.scoring == "nll" and known.log_weight is None:
            raise configs.InputError(
                f"objective '{self.objective}' defines no p(x), which scoring="
                "'nll' needs; use scoring='error', or objective='vae'"
            )
        name = "false_alarm_rate" if self.contamination is None else "contamination"
        # Anomalies are the lesser part.
        parameters.share(name, getattr(self, name), 0.5)

    def _measure(self, train: np.ndarray, kept: np.ndarray) -> None:
        """What scores are counted by: of rows trained on, and of others, (N, *S)."""
        if self.scoring in ("mahalanobis", "both"):
            codes = np.float64(self._codes(train))
            self.covariance_ = covariance.LedoitWolf().fit(codes)
        if self.scoring == "both":
            self.balance_ = anomaly.balance(kept, self._errors(kept))

    def _strangeness(self, x: np.ndarray) -> np.ndarray:
        """(N,) scores of examples (N, *S) in standard units."""
        if (empty := np.isnan(x.reshape(len(x), -1)).all(1)).any():
            raise configs.InputError(
                f"row {int(empty.argmax())} of X has no value: it is neither strange "
                "nor normal; leave it out"
            )
        if self.scoring == "nll":
            draws = self.n_importance_samples
            return -rows.scores(self.model_, x, self._unit, draws)
        if self.scoring == "error":
            return self._errors(x)
        far = self.covariance_.mahalanobis(np.float64(self._codes(x)))
        if self.scoring == "mahalanobis":
            return far
        return far + self.balance_ * self._errors(x)

    def _errors(self, x: np.ndarray) -> np.ndarray:
        errors = rows.batched(lambda x: rows.errors(self.model_, x), x)
        return np.float64(errors)
