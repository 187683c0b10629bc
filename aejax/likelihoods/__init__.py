"""Observation models p(x|z): what a decoder's output means, and its nll in nats."""

from collections.abc import Callable

from aejax.likelihoods import base, densities, discrete, mixed

Likelihood = base.Likelihood
bernoulli = discrete.bernoulli
continuous_bernoulli = densities.continuous_bernoulli
gaussian = densities.gaussian
gaussian_learned = densities.gaussian_learned
laplace = densities.laplace
student_t = densities.student_t
categorical = discrete.categorical
discretized_logistic = discrete.discretized_logistic
tokens = discrete.tokens

LIKELIHOODS: dict[str, Callable[[float], Likelihood]] = {
    f.__name__: f
    for f in (
        bernoulli,
        continuous_bernoulli,
        gaussian,
        gaussian_learned,
        laplace,
        student_t,
        mixed.mixed,
        categorical,
        discretized_logistic,
        tokens,
    )
}


def observed(
    name: str, scale: float = 1.0, kinds: mixed.Kinds = (), missing: bool = False
) -> Likelihood:
    """p(x | decoded) by its name.

    Args:
      scale: x_float = x_stored / scale, by which levels are counted.
      kinds: of a table's columns, see ``mixed``, which alone asks.
      missing: whether NaN in x is what was not observed.
    """
    more = {"kinds": kinds} if name == "mixed" else {}
    return LIKELIHOODS[name](scale, **more)._replace(missing=missing)
