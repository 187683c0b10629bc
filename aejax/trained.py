"""A trained autoencoder for its user: NumPy or jax arrays in data units in and out."""

import functools
import json
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from aejax import config as configs
from aejax import data as datasets
from aejax import density as densities
from aejax import evaluate, inputs, train
from aejax import group as groups
from aejax import model as model_lib

_BATCH = 512


def functions(group: groups.Group) -> dict[str, Callable]:
    """A group's jitted encode, decode, …: its lanes share what they compile.

    Each takes parameters and the lane's traced values first; codes are of width Z.
    """
    recipe, objective = group.recipe, group.recipe.objective

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

        return evaluate.streamed(log_weight, key, samples, len(batch.x))

    def bound(function):
        def run(params, values, *arguments):
            with model_lib.matmul_precision(recipe.config.precision):
                model, hparams = train.bind(recipe, values, recipe.steps)
                return function(model, hparams, params, *arguments)

        return jax.jit(run)

    every = (encode, decode, prior, log_likelihood)
    return {function.__name__: bound(function) for function in every}


class Trained:
    """One lane of a finished run.

    ``encode`` gives (N, k) and ``decode`` takes (N, k), where k is the lane's
    latent_dim: the padding of the population it was trained in is not seen.

    Attributes:
      config: the lane's Config.
      params: {"net", "extra", "state"}; leaves named ``latent_…`` are padded to Z.
      model: pure functions for one's own ``jax.grad``; they take ``params`` and codes
        of width Z.
      hparams: of the objective, as its functions take them.
      latent_dim: k.
      step, steps: of training, when ``params`` were saved, and all that it has.
      has_likelihood, has_normal_prior: whether p(x) is defined, and p(z) is N(0, 1).
    """

    @model_lib.usual_settings()
    def __init__(
        self,
        group: groups.Group,
        lane: groups.Lane,
        params: Any,
        shared: dict,
        step: int | None = None,
    ):
        self.steps = group.recipe.steps
        self.step = self.steps if step is None else step
        recipe, self._values = group.recipe, group.traced(lane.config)
        self.config, self.latent_dim = lane.config, lane.config.latent_dim
        self.params = jax.tree.map(jnp.asarray, params)
        self.model, self.hparams = train.bind(recipe, self._values, recipe.steps)
        self._group, self._shared = group, shared
        self._spec = recipe.blueprint.spec
        self.has_likelihood = recipe.objective.log_weight is not None
        standard = type(recipe.objective)._field_defaults["prior"]
        self.has_normal_prior = recipe.objective.prior is standard
        self._densities: dict[str, densities.Density] = {}

    def encode(
        self, x: Any, y: Any = None, length: Any = None, corrupted: bool = False
    ) -> np.ndarray:
        """Deterministic codes (N, k) of x (N, *S) in data units.

        A tuple of such arrays for objectives whose code has vectors (vq_vae). The last
        bits of a code depend on how many examples are encoded with it, for batches of
        other sizes are other programs.

        Args:
          x: data; series (N, T) will do for sequences of one feature. Whole numbers, of
            a set that is stored as uint8, are divided by its scale, as in training.
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
            z = np.float32(self._checked(z, (self.latent_dim,), "z"))
        pad = ((0, 0), (0, self._spec.latent_dim - self.latent_dim))
        z = jax.tree.map(lambda a: np.pad(a, pad), z)
        return self.apply("decode", z, self._labels(y, len(jax.tree.leaves(z)[0])))

    def reconstruct(
        self, x: Any, y: Any = None, length: Any = None, corrupted: bool = False
    ) -> np.ndarray:
        """``decode(encode(x))``, (N, *S) in data units; see there."""
        return self.decode(self.encode(x, y, length, corrupted), y)

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
        if density == "prior" and self._group.recipe.objective.prior is not None:
            y, rows = self._labels(y, n), np.arange(n)
            each = lambda at: (jax.random.fold_in(key, at),)  # noqa: E731
            return self.apply("decode", self.apply("prior", rows, y, extra=each), y)
        kind = "gaussian" if density == "prior" else density
        if kind not in self._densities:
            self._densities[kind] = densities.fit(self.training_codes()[0], kind)
        return self.decode(self._densities[kind](key, n), y)

    def training_codes(self, most: int = 10_000) -> tuple[np.ndarray, Any]:
        """Codes (n, k) of examples from all over the training split; y (n,) or None."""
        drawn = self.config.binarize == "dynamic"
        rows = self._group.source.training_rows(most, drawn)
        return self.encode(rows.x, rows.y, rows.length), rows.y

    def batch(
        self, x: Any, y: Any = None, length: Any = None, corrupted: bool = False
    ) -> model_lib.Batch:
        """x, y and length of a user as the model takes them, checked.

        Raises:
          InputError: see ``encode``.
        """
        shape = self._spec.shape
        sequences = "sequence" in self._group.recipe.blueprint.network.needs
        if sequences and shape[1:] == (1,) and np.ndim(x) == 2:
            x = np.asarray(x)[..., None]
        x = self._checked(x, shape, "x")
        if length is not None:
            length = np.asarray(length)
            whole = length.shape == x.shape[:1] and length.dtype.kind in "iu"
            if not whole or ((length < 1) | (length > shape[0])).any():
                raise configs.InputError(
                    f"length must be {len(x)} whole numbers from 1 to {shape[0]}"
                )
            length = length.astype(np.int32)
        elif self._group.source.held.length is not None:
            raise configs.InputError(
                "the data of this model have a length, so x must come with one: "
                f"length=np.full(len(x), {shape[0]}) if every step counts"
            )
        x = inputs.in_units(self._group, x, length, corrupted)
        return model_lib.Batch(x, self._labels(y, len(x)), length)

    @model_lib.usual_settings()
    def apply(self, name: str, tree: Any, *more: Any, extra=lambda at: ()) -> Any:
        """One of ``functions`` over any N: in batches of few compiled sizes.

        ``extra`` gives the arguments that are not per example, from a batch's start.
        """
        run = functools.partial(self._shared[name], self.params, self._values)
        return in_batches(run, tree, *more, extra=extra)

    def export(self, folder: Any) -> pathlib.Path:
        """Writes params.npz, cut to the effective size, and config.json.

        Array names are the tree's paths joined by "/"; NumPy reads them without pickle.
        """
        folder = pathlib.Path(folder).expanduser()
        if folder.exists() and not folder.is_dir():
            raise configs.InputError(f"'{folder}' is a file; export to a folder")
        folder.mkdir(parents=True, exist_ok=True)
        params = model_lib.trim(self.params, self.latent_dim)
        arrays = {
            jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(a)
            for path, a in jax.tree_util.tree_leaves_with_path(params)
        }
        np.savez(folder / "params.npz", **arrays)
        text = json.dumps(self.config.to_json(), indent=2)
        (folder / "config.json").write_text(text + "\n")
        return folder

    def _checked(self, x: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
        x = np.asarray(x)
        if x.dtype.kind in "cOSUMm":
            raise configs.InputError(
                f"{name} is of type {x.dtype}; this model takes real numbers"
            )
        if x.shape[1:] != shape or x.ndim != len(shape) + 1:
            wanted = ", ".join(["N", *map(str, shape)])
            raise configs.InputError(
                f"{name} has shape {x.shape}; this model takes ({wanted}), in data "
                "units" + (" (x_stored / scale)" if name == "x" else "")
            )
        return x

    def _labels(self, y: Any, n: int) -> np.ndarray | None:
        """y (n,), or (n, L) of captions, for a conditional model; None for another."""
        classes = self._spec.num_classes
        if not classes:
            return None
        y, words = np.asarray(y), self._spec.captions
        labels = datasets.labels(self._group.dataset)
        if y.dtype.kind == "U" and not words:
            ids = {label: k for k, label in labels.items()}
            y = np.array([ids.get(label, -1) for label in y.ravel().tolist()])
        inside = y.dtype.kind in "iu" and ((y >= 0) & (y < classes)).all()
        if y.shape[:1] != (n,) or y.ndim != 1 + words or not inside:
            what = "rows of ids of words" if words else "class ids"
            also = f" or labels, in this order: {configs.listed(labels.values(), 20)};"
            raise configs.InputError(
                f"this model is conditional: y must be {n} {what} from 0 to "
                f"{classes - 1},{also * bool(labels)} not {np.unique(y)[:20]} of shape "
                f"{y.shape}"
            )
        return y.astype(np.int32)


def in_batches(run: Callable, *trees: Any, extra=lambda at: (), most=_BATCH) -> Any:
    """``run(*extra(at), *trees)`` as NumPy, over any N: at most ``most`` at a time.

    Sizes are powers of two, filled up with zeros, so that a jitted function compiles
    for few of them. ``at`` is the first row of a batch.
    """
    n, out = len(jax.tree.leaves(trees)[0]), []
    for at in range(0, max(n, 1), most):
        cut = functools.partial(_rows, at=at, size=_rounded(n - at, most))
        done = run(*extra(at), *jax.tree.map(cut, trees))
        out.append(jax.tree.map(np.asarray, done))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:n], *out)


def _rounded(n: int, most: int) -> int:
    """A batch's size for n rows: a power of two, or ``most``."""
    return min(most, 1 << max(n - 1, 0).bit_length())


def _rows(a: Any, at: int, size: int) -> np.ndarray:
    """Rows at … at + size, zeros where there are none."""
    a = np.asarray(a)[at : at + size]
    return np.pad(a, ((0, size - len(a)),) + ((0, 0),) * (a.ndim - 1))
