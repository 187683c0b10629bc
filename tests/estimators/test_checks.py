"""scikit-learn's own checks of estimators: none is expected to fail."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from aejax import estimators

# Few steps of a network that compiles in a second, and settings alike, so that what
# compiles for the data of a check serves all of them: what is checked is the contract.
SMALL = dict(network="linear", epochs=2, random_state=0, validation_fraction=0.2)
ESTIMATORS = [
    estimators.Autoencoder("ae", 2, **SMALL),
    estimators.AutoencoderDetector("ae", 2, **SMALL),
    estimators.AutoencoderCV("ae", (2,), cv=2, n_seeds=1, **SMALL),
]


# Of some ten rows no rate of 5 % can be promised, which the detector says.
@pytest.mark.filterwarnings("ignore:false_alarm_rate is 0.05")
@parametrize_with_checks(ESTIMATORS)
def test_the_contract_of_scikit_learn(estimator, check):
    check(estimator)
