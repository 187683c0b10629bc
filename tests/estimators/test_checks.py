"""scikit-learn's own checks of estimators: none is expected to fail."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from aejax import estimators

# Few steps of a network that compiles in a second: what is checked is the contract.
SMALL = dict(network="linear", epochs=2, random_state=0)
ESTIMATORS = [
    estimators.Autoencoder(latent_dim=2, **SMALL),
    estimators.AutoencoderDetector(**SMALL),
    estimators.AutoencoderCV("ae", (1, 2), cv=2, n_seeds=1, **SMALL),
]


@parametrize_with_checks(ESTIMATORS)
def test_the_contract_of_scikit_learn(estimator, check):
    check(estimator)
