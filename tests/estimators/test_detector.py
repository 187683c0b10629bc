"""The detector beside the task's scores, and PyOD's names."""

import numpy as np
import pytest
from sklearn import metrics

from aejax import data
from aejax.estimators import AutoencoderDetector
from aejax.tasks import anomaly

RNG = np.random.default_rng(0)
CLEAN = RNG.normal(size=(400, 2)) @ RNG.normal(size=(2, 8)) + 0.05 * RNG.normal(
    size=(400, 8)
)
STRANGE = CLEAN[:20] + RNG.normal(size=(20, 8))
X = np.concatenate([CLEAN, STRANGE])
TRUE = np.arange(420) >= 400
VALUES = dict(latent_dim=2, network="linear", epochs=60, random_state=0)


@pytest.mark.parametrize("scoring", ["error", "mahalanobis", "both", "nll"])
def test_what_is_planted_is_found(scoring):
    objective = "vae" if scoring == "nll" else "ae"
    model = AutoencoderDetector(objective, scoring=scoring, **VALUES).fit(CLEAN)
    auroc = metrics.roc_auc_score(TRUE, -model.score_samples(X))
    assert auroc > (0.5 if scoring == "mahalanobis" else 0.95)
    clean = RNG.permutation(CLEAN)
    assert (model.predict(clean) == -1).mean() < 0.12  # 0.05 on average, of new rows
    assert ((model.decision_function(X) < 0) == (model.predict(X) == -1)).all()


def test_the_threshold_is_a_conformal_rank():
    """Of n scores the k-th lies above a new one by chance k / (n + 1)."""
    model = AutoencoderDetector(**VALUES | {"epochs": 2}).fit(CLEAN[:200])
    scores = RNG.normal(size=(2000, 40))
    at_rank = np.sort(scores[:, :-1], axis=1)[:, 37]  # ceil(0.95 · 40) = 38 of 39
    assert abs((scores[:, -1] > at_rank).mean() - 0.05) < 0.015
    assert model.false_alarm_rate_ == 2 / 41  # 40 rows are held out: the 39th
    below = model.decision_scores_ < model.threshold_
    assert 160 <= below.sum() <= 199
    few = AutoencoderDetector(**VALUES | {"epochs": 2})
    with pytest.warns(UserWarning, match="19 rows must be held out; of 8 the largest"):
        few.fit(CLEAN[:40])
    assert few.false_alarm_rate_ == 1 / 9


def test_rows_without_a_value_are_neither():
    hidden = np.where(RNG.random(CLEAN.shape) < 0.1, np.nan, CLEAN)
    model = AutoencoderDetector(**VALUES | {"epochs": 2}).fit(hidden[:100])
    with pytest.raises(ValueError, match="row 1 of X has no value"):
        model.predict(np.where([[False], [True]], np.nan, CLEAN[:2]))
    constant = np.ones((100, 3))  # nothing is divided by an error of 0
    AutoencoderDetector(scoring="both", **VALUES | {"epochs": 2}).fit(constant)


def test_pyod_s_names_say_the_same():
    model = AutoencoderDetector(contamination=0.05, **VALUES).fit(X)
    np.testing.assert_allclose(model.decision_scores_, -model.score_samples(X))
    assert model.labels_.sum() == 21 and set(model.labels_) == {0, 1}
    assert ((model.predict(X) == -1) == (model.labels_ == 1)).all()
    assert model.offset_ == -model.threshold_
    assert (model.labels_ == (model.decision_scores_ > model.threshold_)).all()


def test_scores_are_those_of_the_task():
    model = AutoencoderDetector(scoring="both", **VALUES).fit(CLEAN)
    from aejax.estimators import rows

    order = model._seeds(2)[1]
    train, kept = (
        data.Split(rows.scaled(part, model._unit))
        for part in rows.parted(CLEAN, 0.2, order)
    )
    x = data.Split(rows.scaled(X, model._unit))
    task = anomaly.scores(model.model_, train, kept)(x)
    np.testing.assert_allclose(-model.score_samples(X), task["both"], rtol=1e-3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scoring": "errors"}, "did you mean 'error'"),
        ({"contamination": "auto"}, "contamination is 'auto'; it must lie in"),
        ({"latent_dim": 0}, "latent_dim is 0"),
        ({"scoring": "nll"}, "defines no p.x., which scoring='nll' needs"),
        ({"false_alarm_rate": 0.9}, "false_alarm_rate is 0.9; it must lie in"),
        ({"validation_fraction": 0.001}, "n_samples=20 is too few"),
        ({"false_alarm_rate": None}, "false_alarm_rate is None; it must lie in"),
    ],
)
def test_bad_settings_say_what_is_allowed(values, message):
    with pytest.raises(ValueError, match=message):
        AutoencoderDetector(**VALUES | {"epochs": 2} | values).fit(CLEAN[:20])
