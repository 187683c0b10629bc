"""A trained autoencoder for its user: NumPy or jax arrays in data units in and out."""

import json
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from aejax import config as configs
from aejax import group as groups
from aejax import model as model_lib
from aejax import train

_BATCH = 512


class Functions:
    """A group's jitted encode, decode and sample; lanes share what they compile.

    Each takes parameters and the lane's traced values first; codes are of width Z.
    """

    def __init__(self, group: groups.Group):
        recipe, objective = group.recipe, group.recipe.objective
        self.precision = recipe.blueprint.precision

        def encode(params, values, x, y):
            model, hparams = train.bind(recipe, values, recipe.steps)
            return objective.code(model, params, model_lib.Batch(x, y), **hparams)

        def decode(params, values, z, y):
            model, _ = train.bind(recipe, values, recipe.steps)
            decoded = model.decode(params, z, model_lib.Batch(None, y))
            return model.likelihood.mean(decoded)

        def sample(params, values, key, y, n):
            model, hparams = train.bind(recipe, values, recipe.steps)
            z = objective.prior(model, params, key, n, y, **hparams)
            # The mean is shown, as the field does; p(x|z)'s noise would hide it.
            return decode(params, values, z, y)

        self.encode, self.decode = jax.jit(encode), jax.jit(decode)
        self.sample = jax.jit(sample, static_argnums=4)


class Trained:
    """One lane of a finished run.

    ``encode`` gives (N, k) and ``decode`` takes (N, k), where k is the lane's
    latent_dim: the padding of the population it was trained in is not seen.

    Attributes:
      config: the lane's Config.
      params: {"net", "extra", "state"}; leaves named ``latent_…`` are padded to Z.
      model: pure functions for one's own ``jax.grad``; they take ``params`` and codes
        of width Z.
      latent_dim: k.
    """

    def __init__(
        self, group: groups.Group, lane: groups.Lane, params: Any, shared: Functions
    ):
        recipe, self._values = group.recipe, group.traced(lane)
        self.config, self.latent_dim = lane.config, lane.config.latent_dim
        self.params = jax.tree.map(jnp.asarray, params)
        self.model = train.bind(recipe, self._values, recipe.steps)[0]
        self._shared, self._has_prior = shared, recipe.objective.prior is not None
        self._shape = recipe.blueprint.spec.shape
        self._allocated = recipe.blueprint.spec.latent_dim

    def encode(self, x: Any, y: Any = None) -> np.ndarray:
        """Deterministic codes (N, k) of x (N, *S) in data units.

        Raises:
          InputError: x is not of shape (N, *S).
        """
        x = self._checked(x, self._shape, "x")
        z = self._batched(self._shared.encode, x, y)
        return jax.tree.map(lambda a: a[:, : self.latent_dim], z)

    def decode(self, z: Any, y: Any = None) -> np.ndarray:
        """E[x | z], (N, *S) in data units, of codes (N, k)."""
        if not isinstance(z, tuple):
            z = self._checked(z, (self.latent_dim,), "z")
        pad = ((0, 0), (0, self._allocated - self.latent_dim))
        z = jax.tree.map(lambda a: np.pad(a, pad), z)
        return self._batched(self._shared.decode, z, y)

    def reconstruct(self, x: Any, y: Any = None) -> np.ndarray:
        """``decode(encode(x))``, (N, *S) in data units."""
        return self.decode(self.encode(x, y), y)

    def sample(self, key: Array, n: int, y: Any = None) -> np.ndarray:
        """E[x | z] for n codes drawn from the objective's prior, (n, *S).

        Raises:
          InputError: the objective has no prior.
        """
        if not self._has_prior:
            raise configs.InputError(
                f"objective '{self.config.objective}' is deterministic: it has no "
                "prior to sample from; take one that has, e.g. vae"
            )
        y = None if y is None else jnp.asarray(y)
        with model_lib.matmul_precision(self._shared.precision):
            args = (self.params, self._values, key, y, n)
            return np.asarray(self._shared.sample(*args))

    def export(self, folder: Any) -> pathlib.Path:
        """Writes params.npz, cut to the effective size, and config.json.

        Array names are the tree's paths joined by "/"; NumPy reads them without pickle.
        """
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        leaves = jax.tree_util.tree_leaves_with_path(
            model_lib.trim(self.params, self.latent_dim)
        )
        arrays = {
            jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(a)
            for path, a in leaves
        }
        np.savez(folder / "params.npz", **arrays)
        text = json.dumps(self.config.to_json(), indent=2)
        (folder / "config.json").write_text(text + "\n")
        return folder

    def _checked(self, x: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
        x = np.asarray(x, np.float32)
        if x.shape[1:] != shape or x.ndim != len(shape) + 1:
            wanted = ", ".join(["N", *map(str, shape)])
            raise configs.InputError(
                f"{name} has shape {x.shape}; this model takes ({wanted}), in data "
                "units" + (" (x_stored / scale)" if name == "x" else "")
            )
        return x

    def _batched(self, function, x: Any, y: Any) -> Any:
        """Any N in few compiled shapes: batches of 512, the last padded to 2^i."""
        leaves = jax.tree.leaves(x)
        n = len(leaves[0])
        out = []
        for at in range(0, max(n, 1), _BATCH):
            size = min(_BATCH, n - at)
            full = min(_BATCH, 1 << max(size - 1, 0).bit_length())

            def piece(a, at=at, size=size, full=full):
                a = np.asarray(a)[at : at + size]
                return np.pad(a, ((0, full - size),) + ((0, 0),) * (a.ndim - 1))

            with model_lib.matmul_precision(self._shared.precision):
                args = (jax.tree.map(piece, x), None if y is None else piece(y))
                done = function(self.params, self._values, *args)
            out.append(jax.tree.map(lambda a, n=size: np.asarray(a)[:n], done))
        return jax.tree.map(lambda *parts: np.concatenate(parts), *out)
