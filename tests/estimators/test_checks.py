"""scikit-learn's own checks of estimators: none is expected to fail."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from aejax import estimators

# Few steps of a small network: what is checked is the contract.
SMALL = dict(hidden=(4,), epochs=2, random_state=0)


@parametrize_with_checks([estimators.Autoencoder(latent_dim=2, **SMALL)])
def test_the_transformer(estimator, check):
    check(estimator)


@parametrize_with_checks([estimators.AutoencoderDetector(**SMALL)])
def test_the_detector(estimator, check):
    check(estimator)


CV = dict(latent_dims=(1, 2), cv=2, n_seeds=1)


@parametrize_with_checks([estimators.AutoencoderCV("ae", **CV, **SMALL)])
def test_the_search(estimator, check):
    check(estimator)
