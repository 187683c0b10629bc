"""Loss functions as pure maths: ``(..., D) -> (...)``, nats, summed over the last axis.

Nothing here averages over examples or over data elements: a mean over pixels silently
rescales every other term. Arguments of one shape must have one shape (ValueError), for
broadcasting would change a loss. Imports jax, optax, jaxtyping: a paper can copy it.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Bool, Float, Int, PRNGKeyArray, ScalarLike

LOG_2PI = math.log(2.0 * math.pi)


def _check_shapes(**arrays: ArrayLike) -> None:
    shapes = {name: jnp.shape(a) for name, a in arrays.items()}
    if len(set(shapes.values())) > 1:
        given = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"shapes differ: {given}; broadcasting would change the loss")


def valid_steps(
    x: Float[ArrayLike, "B T ..."], length: Int[ArrayLike, " B"]
) -> Bool[Array, "B T ..."]:
    """Which steps of x (B, T, …) lie before their length (B,): (B, T, 1, …) bools."""
    step = jnp.arange(x.shape[1]).reshape((1, -1) + (1,) * (x.ndim - 2))
    return step < length.reshape((-1,) + (1,) * (x.ndim - 1))


def gaussian_kl(
    mu: Float[ArrayLike, "*B Z"], logvar: Float[ArrayLike, "*B Z"]
) -> Float[Array, "*B"]:
    """KL(N(mu, σ²) || N(0, 1)) (...), nats, of mu and logvar = log σ² (..., Z).

    ½ Σ (μ² + σ² − 1 − log σ²) ≥ 0. Kingma & Welling, ICLR 2014, appendix B. A dimension
    with mu = logvar = 0 adds exactly 0.
    """
    _check_shapes(mu=mu, logvar=logvar)
    # expm1(v) - v instead of exp(v) - 1 - v: exact near v = 0, where the KL vanishes.
    return 0.5 * jnp.sum(jnp.square(mu) + jnp.expm1(logvar) - logvar, axis=-1)


def gaussian_kl_between(
    mu_q: Float[ArrayLike, "*B Z"],
    logvar_q: Float[ArrayLike, "*B Z"],
    mu_p: Float[ArrayLike, "*B Z"],
    logvar_p: Float[ArrayLike, "*B Z"],
) -> Float[Array, "*B"]:
    """KL(N(mu_q, σq²) || N(mu_p, σp²)) (...), nats, of four arrays (..., Z).

    ½ Σ (log σp² − log σq² + (σq² + (μq − μp)²) / σp² − 1).
    """
    _check_shapes(mu_q=mu_q, logvar_q=logvar_q, mu_p=mu_p, logvar_p=logvar_p)
    gap = logvar_q - logvar_p
    scaled = jnp.square(mu_q - mu_p) * jnp.exp(-logvar_p)
    return 0.5 * jnp.sum(jnp.expm1(gap) - gap + scaled, axis=-1)


def reparametrize(
    key: PRNGKeyArray, mu: Float[ArrayLike, "*B Z"], logvar: Float[ArrayLike, "*B Z"]
) -> Float[Array, "*B Z"]:
    """A draw z = μ + σ ε (..., Z), ε ~ N(0, 1). Kingma & Welling, ICLR 2014, sec. 2.4.

    mu and logvar are (..., Z). ε is drawn with Z leading, so that the first k
    dimensions are the same whatever Z is.
    """
    _check_shapes(mu=mu, logvar=logvar)
    shape = jnp.shape(mu)
    eps = jax.random.normal(key, shape[-1:] + shape[:-1], jnp.result_type(mu))
    return mu + jnp.exp(0.5 * logvar) * jnp.moveaxis(eps, 0, -1)


def bernoulli_nll(
    x: Float[ArrayLike, "*B D"], logits: Float[ArrayLike, "*B D"]
) -> Float[Array, "*B"]:
    """Negative log-likelihood (...), nats, of x in [0, 1] under logits, both (..., D).

    Bernoulli: Σ softplus(l) − x l, finite at any logit (cross-entropy of probabilities
    is inf from logit 104). For 0 < x < 1 its least value is the entropy of x, not 0.
    """
    _check_shapes(x=x, logits=logits)
    # One exp and one log1p; optax's form, of two log-sigmoids, takes twice as long.
    softplus = jnp.maximum(logits, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(logits)))
    return jnp.sum(softplus - x * logits, axis=-1)


def continuous_bernoulli_log_norm(logits: Float[ArrayLike, "*D"]) -> Float[Array, "*D"]:
    """Elementwise log ∫₀¹ exp(l x) dx = log((eˡ − 1) / l), stable for every l.

    Loaiza-Ganem & Cunningham, NeurIPS 2019, equation 7, in natural parameters.
    """
    size = jnp.abs(logits)
    small = size < 0.3
    # Keeps the branch not taken free of NaN gradients.
    safe = jnp.where(small, 1.0, size)
    square = jnp.square(jnp.where(small, logits, 0.0))
    # Taylor series of log(sinh(l/2) / (l/2)); the next term is below 1e-9 here.
    series = square * (1 / 24 - square * (1 / 2880 - square * (1 / 181440)))
    exact = 0.5 * safe + jnp.log1p(-jnp.exp(-safe)) - jnp.log(safe)
    return 0.5 * logits + jnp.where(small, series, exact)


def continuous_bernoulli_mean(logits: Float[ArrayLike, "*D"]) -> Float[Array, "*D"]:
    """Elementwise E[x] = 1 / (1 − e⁻ˡ) − 1 / l, by its series where these cancel."""
    small = jnp.abs(logits) < 0.3
    safe = jnp.where(small, 1.0, jnp.abs(logits))  # exp of a positive one overflows
    above = -1.0 / jnp.expm1(-safe) - 1.0 / safe
    exact = jnp.where(logits > 0, above, 1.0 - above)
    near = jnp.where(small, logits, 0.0)
    square = near**2
    series = 0.5 + near * (1 / 12 - square * (1 / 720 - square * (1 / 30240)))
    return jnp.where(small, series, exact)


def continuous_bernoulli_nll(
    x: Float[ArrayLike, "*B D"], logits: Float[ArrayLike, "*B D"]
) -> Float[Array, "*B"]:
    """Negative log-density (...), nats, of the continuous Bernoulli on [0, 1].

    Σ log((eˡ − 1) / l) − x l, of x and natural parameters l (..., D); it may be
    negative. Loaiza-Ganem & Cunningham, NeurIPS 2019.
    """
    _check_shapes(x=x, logits=logits)
    return jnp.sum(continuous_bernoulli_log_norm(logits) - x * logits, axis=-1)


def gaussian_nll(
    x: Float[ArrayLike, "*B D"],
    mean: Float[ArrayLike, "*B D"],
    logvar: Float[ArrayLike, "*B D"] | ScalarLike = 0.0,
) -> Float[Array, "*B"]:
    """Negative log-density (...), nats, of a diagonal Gaussian, all (..., D).

    ½ Σ (log 2π + log σ² + (x − mean)² / σ²), logvar = log σ² an array or one number. At
    logvar = 0 it is half of ``squared_error`` plus (D/2) log 2π.
    """
    _check_shapes(x=x, mean=mean)
    logvar = jnp.asarray(logvar, jnp.result_type(mean))
    if jnp.ndim(logvar):
        _check_shapes(x=x, logvar=logvar)
    scaled = jnp.square(x - mean) * jnp.exp(-logvar)
    return 0.5 * jnp.sum(LOG_2PI + logvar + scaled, axis=-1)


def laplace_nll(
    x: Float[ArrayLike, "*B D"],
    median: Float[ArrayLike, "*B D"],
    log_scale: Float[ArrayLike, "*B D"] | ScalarLike = 0.0,
) -> Float[Array, "*B"]:
    """Negative log-density (...), nats, of a Laplace of scale b, all (..., D).

    Σ (log 2b + |x − median| / b), log_scale = log b an array or one number.
    """
    _check_shapes(x=x, median=median)
    each = jnp.abs(x - median) * jnp.exp(-jnp.asarray(log_scale))
    return jnp.sum(each + log_scale + math.log(2.0), axis=-1)


def student_t_nll(
    x: Float[ArrayLike, "*B D"],
    mean: Float[ArrayLike, "*B D"],
    logvar: Float[ArrayLike, "*B D"] | ScalarLike = 0.0,
    df: Float[ArrayLike, "*B D"] | ScalarLike = 5.0,
) -> Float[Array, "*B"]:
    """Negative log-density (...), nats, of Student's t of ``df`` degrees of freedom.

    Of x and mean (..., D), logvar = log σ² and df = ν arrays or one number each: Σ
    log B(½, ν/2) + ½ log(ν σ²) + (ν + 1)/2 log(1 + (x − mean)² / (ν σ²)), with Euler's
    beta function B. σ² is no variance; that is σ² ν / (ν − 2).
    """
    _check_shapes(x=x, mean=mean)
    log_width = jnp.log(df) + jnp.asarray(logvar)
    tail = jnp.log1p(jnp.square(x - mean) * jnp.exp(-log_width))
    norm = jax.scipy.special.betaln(0.5, 0.5 * jnp.asarray(df))
    return jnp.sum(norm + 0.5 * log_width + 0.5 * (df + 1.0) * tail, axis=-1)


def discretized_logistic_nll(
    x: Float[ArrayLike, "*B D"],
    mean: Float[ArrayLike, "*B D"],
    log_scale: Float[ArrayLike, "*B D"] | ScalarLike,
    levels: int,
) -> Float[Array, "*B"]:
    """Negative log-probability (...), nats, of levels x = 0, 1/(L − 1), …, 1 (..., D).

    Each level has the mass that a logistic of this mean and scale s puts within half a
    level of it, the first and the last also what lies beyond: log(σ(a) − σ(b)) with
    a, b = (x ± ½/(L − 1) − mean) / s. Kingma et al., NeurIPS 2016, section 5.1.
    """
    _check_shapes(x=x, mean=mean)
    half = 0.5 / (levels - 1)
    a = (x + half - mean) * jnp.exp(-log_scale)
    b = (x - half - mean) * jnp.exp(-log_scale)
    # σ(a) − σ(b) = σ(a) σ(−b) (1 − e^(b − a)): no difference of numbers near 1.
    width = 2.0 * half * jnp.exp(-log_scale)
    inside = jnp.log(-jnp.expm1(-width)) - jax.nn.softplus(-a) - jax.nn.softplus(b)
    first, last = -jax.nn.softplus(-a), -jax.nn.softplus(b)
    low = jnp.where(x < half, first, inside)
    return -jnp.sum(jnp.where(x > 1.0 - half, last, low), axis=-1)


def categorical_nll(
    labels: Int[ArrayLike, "*B D"], logits: Float[ArrayLike, "*B D C"]
) -> Float[Array, "*B"]:
    """Negative log-likelihood (...), nats, of D categorical variables of C classes.

    labels (..., D) are integers, logits (..., D, C) unnormalised log-probabilities;
    ValueError if they do not fit.
    """
    if jnp.shape(logits)[:-1] != jnp.shape(labels):
        raise ValueError(
            f"labels {jnp.shape(labels)} need logits of that shape and one axis of "
            f"classes more, got {jnp.shape(logits)}"
        )
    each = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    return jnp.sum(each, axis=-1)


def squared_error(
    x: Float[ArrayLike, "*B D"], x_hat: Float[ArrayLike, "*B D"]
) -> Float[Array, "*B"]:
    """‖x − x̂‖² (...), of (..., D), in squared data units, without a factor ½."""
    _check_shapes(x=x, x_hat=x_hat)
    return jnp.sum(jnp.square(x - x_hat), axis=-1)


def log_weight(
    nll: Float[ArrayLike, "*B"],
    z: Float[ArrayLike, "*B Z"],
    mu: Float[ArrayLike, "*B Z"],
    logvar: Float[ArrayLike, "*B Z"],
) -> Float[Array, "*B"]:
    """Importance weight log p(x, z) − log q(z|x) (...), nats, for p(z) = N(0, 1).

    Burda et al., ICLR 2016, eq. 8. nll (...) is −log p(x|z); z, mu, logvar (..., Z) a
    draw from q and its parameters. z = mu = logvar = 0 adds exactly 0.
    """
    _check_shapes(z=z, mu=mu, logvar=logvar)
    scaled = jnp.square(z - mu) * jnp.exp(-logvar)
    return 0.5 * jnp.sum(scaled + logvar - jnp.square(z), axis=-1) - nll


def mmd(
    x: Float[ArrayLike, "N Z"],
    y: Float[ArrayLike, "M Z"],
    scale: ScalarLike,
    kernel: str = "rbf",
) -> Float[Array, ""]:
    """Unbiased squared maximum mean discrepancy of samples x (N, Z) and y (M, Z).

    Gretton et al., JMLR 2012, eq. 3; about 0, and then at times negative, if they have
    one distribution. Kernels of d = ‖a − b‖²: "rbf" exp(−d / scale); "imq" Σ_s s·scale
    / (s·scale + d) over s = .1, .2, .5, 1, 2, 5, 10 (Tolstikhin et al., ICLR 2018,
    section 4, who take the scale 2 Z for a standard normal).
    """

    def mean(a: ArrayLike, b: ArrayLike, off_diagonal: bool) -> Float[Array, ""]:
        products = a @ b.T
        d = jnp.square(a).sum(-1)[:, None] + jnp.square(b).sum(-1)[None] - 2 * products
        d = jnp.maximum(d, 0.0)
        if kernel == "rbf":
            k = jnp.exp(-d / scale)
        else:
            factors = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
            k = sum(s * scale / (s * scale + d) for s in factors)
        if not off_diagonal:
            return k.mean()
        n = len(a)
        return (k.sum() - jnp.trace(k)) / max(n * (n - 1), 1)

    return mean(x, x, True) + mean(y, y, True) - 2.0 * mean(x, y, False)


def jacobian_norm(
    encode: Callable,
    x: Float[ArrayLike, " B *S"],
    probes: tuple[PRNGKeyArray, int] | None = None,
) -> Float[Array, " B"]:
    """‖∂z/∂x‖²_F (B,) of z = encode(x). Rifai et al., ICML 2011, eq. 2.

    encode maps x (B, *S) to (B, Z), each example on its own. Exact, by one backward
    pass per dimension of z; or with probes = (key, n) the mean of ‖vᵀ ∂z/∂x‖² over n
    vectors v of random signs, which is unbiased (Hutchinson, 1990).
    """
    z, pull = jax.vjp(encode, x)
    size = z.shape[-1]

    def norm(v: Float[Array, " Z"] | Float[Array, "B Z"]) -> Float[Array, " B"]:
        (row,) = pull(jnp.broadcast_to(jnp.atleast_2d(v), z.shape))
        return jnp.square(row).reshape(len(x), -1).sum(-1)

    if probes is None:
        return jax.vmap(norm)(jnp.eye(size, dtype=z.dtype)).sum(0)
    key, n = probes
    signs = jax.random.rademacher(key, (size, n, len(x)), z.dtype)
    return jax.vmap(norm)(jnp.moveaxis(signs, 0, -1)).mean(0)
