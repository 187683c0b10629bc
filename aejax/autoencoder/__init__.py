"""A trained autoencoder for its user: NumPy or jax arrays in data units in and out."""

import functools
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from aejax import config as configs
from aejax import data as datasets
from aejax import exports, settings
from aejax import model as model_lib
from aejax.autoencoder import inputs
from aejax.evaluate import ex_post, likelihood
from aejax.exports import arrays as stored
from aejax.training import member as members
from aejax.training import source as sources
from aejax.training import spec as specs

# Examples encoded at once: larger ones gain nothing on a CPU, and images of 64 × 64 × 3
# of them are 25 MB.
_BATCH = 512


def functions(spec: specs.TrainSpec) -> dict[str, Callable]:
    """A population's jitted encode, decode, …: its members share what they compile.

    Each takes parameters and the member's numbers first; codes are of width Z.
    """
    objective = spec.objective

    def encode(model, hparams, params, batch):
        return objective.code(model, params, batch, **hparams)

    def decode(model, hparams, params, z, y):
        decoded = model.decode(params, z, model_lib.Batch(None, y))
        return model.likelihood.mean(decoded)

    def prior(model, hparams, params, key, rows, y):
        return objective.prior(model, params, key, len(rows), y, **hparams)

    def log_likelihood(model, hparams, params, key, samples, batch):
        def log_weight(key):
            return objective.log_weight(model, params, batch, key, **hparams)

        return likelihood.streamed(log_weight, key, samples, len(batch.x))

    plain = (encode, decode, prior, log_likelihood)
    return {function.__name__: bound(spec, function) for function in plain}


def bound(spec: specs.TrainSpec, function: Callable) -> Callable:
    """``function(model, hparams, params, …)`` jitted: (params, member's numbers, …)."""

    def run(params, values, *arguments):
        with settings.matmul_precision(spec.config.precision):
            model, hparams = members.bind(spec, values)(spec.steps)
            return function(model, hparams, params, *arguments)

    return jax.jit(run)


class Autoencoder:
    """One trained member of a run.

    ``encode`` gives (N, k) and ``decode`` takes (N, k), where k is the member's
    latent_dim: the padding of the population it was trained in is not seen.

    Attributes:
      config: the member's Config.
      params: {"net", "extra", "state"}; leaves named ``latent_…`` are padded to Z.
      model: pure functions for one's own ``jax.grad``; they take ``params`` and codes
        of width Z.
      hparams: of the objective, as its functions take them.
      latent_dim: k.
      spec: static facts, of the population it was trained in.
      origin: () -> what is known of its training, in JSON's types.
      step, steps: of training, when ``params`` were saved, and all that it has.
      has_likelihood, has_normal_prior: whether p(x) is defined, and p(z) is N(0, 1).
    """

    @settings.usual()
    def __init__(
        self,
        spec: specs.TrainSpec,
        config: configs.Config,
        params: Any,
        shared: dict[str, Callable],
        step: int,
        source: Callable[[], sources.Source],
        origin: Callable[[], Mapping[str, Any]] = dict,
    ):
        self.steps, self.step, self.origin = spec.steps, step, origin
        self.config, self.latent_dim = config, config.latent_dim
        self.params = jax.tree.map(jnp.asarray, params)
        self._values = spec.hparams(config)
        self.model, self.hparams = members.bind(spec, self._values)(spec.steps)
        self.spec, self._shared, self._source = spec, shared, source
        self.has_likelihood = spec.objective.log_weight is not None
        standard = type(spec.objective)._field_defaults["prior"]
        self.has_normal_prior = spec.objective.prior is standard
        self._densities: dict[str, ex_post.Density] = {}

    @classmethod
    def of(cls, parts: stored.Parts, shared: Any = None) -> "Autoencoder":
        """The model of an export, whose data are not at hand; ``shared`` if known."""

        def source() -> sources.Source:
            raise ex_post.Unfitted(
                "this model was exported without its data, which a density of codes is "
                "fitted to; its run has them: aejax.open_run(DIR).model(…)"
            )

        spec, config, params, step, density, origin = parts
        shared = shared or functions(spec)
        model = cls(spec, config, params, shared, step, source, lambda: origin)
        model._densities = {} if density is None else {"gaussian": density}
        return model

    def encode(
        self, x: Any, y: Any = None, length: Any = None, corrupted: bool = False
    ) -> np.ndarray:
        """Deterministic codes (N, k) of x (N, *S) in data units.

        A tuple of such arrays for objectives whose code has vectors (vq_vae). The last
        bits of a code depend on how many examples are encoded with it, for batches of
        other sizes are other programs.

        Args:
          x: data; series (N, T) will do for sequences of one feature. Whole numbers, of
            a set that is stored as uint8, are divided by its scale, as in training. Or
            a DataFrame with the columns of the table it was trained on. NaN is missing
            to a model whose data had such.
          y: for a conditional model (N,) class ids as the data set's y has them, or
            their labels, strings; or (N, L) ids of words.
          length: (N,) valid steps, for sequences; required where the data have it.
          corrupted: x has noise added, and may leave the range of the likelihood.

        Raises:
          InputError: x is not of shape (N, *S), not finite, or outside the range of the
            likelihood; y or length do not fit it, or are missing.
        """
        z = self.apply("encode", self.batch(x, y, length, corrupted))
        return jax.tree.map(lambda a: a[:, : self.latent_dim], z)

    def decode(self, z: Any, y: Any = None) -> np.ndarray:
        """E[x | z], (N, *S) in data units, of codes (N, k)."""
        if not isinstance(z, tuple):
            z = np.float32(inputs.array(z, (self.latent_dim,), "z"))
        allocated = self.spec.model.network_spec.latent_dim
        pad = ((0, 0), (0, allocated - self.latent_dim))
        z = jax.tree.map(lambda a: np.pad(a, pad), z)
        y = inputs.labels(self.spec, y, len(jax.tree.leaves(z)[0]))
        return self.apply("decode", z, y)

    def reconstruct(
        self, x: Any, y: Any = None, length: Any = None, corrupted: bool = False
    ) -> np.ndarray:
        """``decode(encode(x))``, (N, *S) in data units; see there."""
        return self.decode(self.encode(x, y, length, corrupted), y)

    def as_given(self, x: Any) -> Any:
        """x (N, D) in data units as a DataFrame in the units and words of its table.

        Raises:
          InputError: a model of data that are no table.
        """
        return datasets.as_given(self.spec.data, x)

    def sample(
        self, key: Array, n: int, y: Any = None, density: str = "prior"
    ) -> np.ndarray:
        """E[x | z] for n codes, (n, *S); p(x|z)'s noise, which would hide it, left out.

        Args:
          key: PRNG key.
          n: number of samples.
          y: (n,) class ids, or (n, L) ids of words, for a conditional model.
          density: of the codes. "prior" is the objective's own; "gaussian" or "gmm"
            (10 components) is fitted to codes of the training split (Ghosh et al., ICLR
            2020), as is the Gaussian that stands in for a prior that is missing.

        Raises:
          InputError: y does not fit.
        """
        if density == "prior" and self.spec.objective.prior is not None:
            y, rows = inputs.labels(self.spec, y, n), np.arange(n)
            each = lambda start: (jax.random.fold_in(key, start),)  # noqa: E731
            return self.apply("decode", self.apply("prior", rows, y, extra=each), y)
        kind = "gaussian" if density == "prior" else density
        return self.decode(self.density(kind)(key, n), y)

    def density(self, kind: str) -> ex_post.Density:
        """Of codes of the training split, fitted once: "gaussian" or "gmm"."""
        if kind not in self._densities:
            self._densities[kind] = ex_post.fit(self.training_codes()[0], kind)
        return self._densities[kind]

    def training_codes(self, limit: int = 10_000) -> tuple[np.ndarray, Any]:
        """Codes (n, k) of examples from all over the training split; y (n,) or None."""
        rows = self._source().training_rows(limit)
        return self.encode(rows.x, rows.y, rows.length), rows.y

    def batch(
        self, x: Any, y: Any = None, length: Any = None, corrupted: bool = False
    ) -> model_lib.Batch:
        """x, y and length of a user as the model takes them, checked.

        Raises:
          InputError: see ``encode``.
        """
        x, length = inputs.examples(self.spec, x, length, corrupted)
        return model_lib.Batch(x, inputs.labels(self.spec, y, len(x)), length)

    @settings.usual()
    def apply(
        self, name: str, *trees: Any, extra=lambda start: (), limit=_BATCH
    ) -> Any:
        """One of ``functions`` over any N: in batches of few compiled sizes.

        ``extra`` gives the arguments that are not per example, from a batch's start.
        """
        run = functools.partial(self._shared[name], self.params, self._values)
        return in_batches(run, *trees, extra=extra, limit=limit)

    def export(self, folder: Any, format: str = "npz") -> pathlib.Path:
        """Writes the model as files of a format; see ``exports.write``."""
        return exports.write(self, folder, format)


def load(folder: Any, own_code: bool = False) -> Autoencoder:
    """The model in a folder that ``export`` has written; neither run nor data needed.

    Args:
      folder: it.
      own_code: whether a file of somebody's own, an objective or network, may run.

    Raises:
      InputError: no export, or of another version; see ``exports.read``.
    """
    return Autoencoder.of(exports.read(folder, own_code))


def in_batches(run: Callable, *trees: Any, extra=lambda start: (), limit=_BATCH) -> Any:
    """``run(*extra(start), *trees)`` as NumPy, over any N: at most ``limit`` at a time.

    Sizes are powers of two, filled up with zeros, so that a jitted function compiles
    for few of them. ``start`` is the first row of a batch.
    """
    n, out = len(jax.tree.leaves(trees)[0]), []
    for start in range(0, max(n, 1), limit):
        cut = functools.partial(_rows, start=start, size=_rounded(n - start, limit))
        done = run(*extra(start), *jax.tree.map(cut, trees))
        out.append(jax.tree.map(np.asarray, done))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:n], *out)


def _rounded(n: int, limit: int) -> int:
    """A batch's size for n rows: a power of two, or ``limit``."""
    return min(limit, 1 << max(n - 1, 0).bit_length())


def _rows(a: Any, start: int, size: int) -> np.ndarray:
    """Rows start … start + size, zeros where there are none."""
    a = np.asarray(a)[start : start + size]
    return np.pad(a, ((0, size - len(a)),) + ((0, 0),) * (a.ndim - 1))
