"""A trained autoencoder as facts in JSON's types and arrays by name, and back.

No pickle: whoever reads them needs NumPy, and runs nobody's code.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from aejax import config as configs
from aejax import machine
from aejax import model as model_lib
from aejax.evaluate import ex_post
from aejax.training import population as populations
from aejax.training import source as sources
from aejax.training import spec as specs

VERSION = 1  # of what ``facts`` hold
_DENSITY = "density/"


class Parts(NamedTuple):
    """What an ``autoencoder.Autoencoder`` is made from.

    ``density`` is of its codes, for an objective without a prior; None if unknown.
    ``origin`` is what is known of its training, see ``origin``; {} if nothing is.
    """

    spec: specs.TrainSpec
    config: configs.Config
    params: Any
    step: int
    density: ex_post.Density | None
    origin: Mapping[str, Any] = {}


def facts(model: Any) -> dict[str, Any]:
    """All that a trained model is but its numbers, in JSON's types.

    Its configuration, its data set's facts (columns and units, no examples), the step,
    and where it is from.
    """
    return {
        "format": VERSION,
        "aejax": machine.version("aejax"),
        "config": model.config.to_json(),
        "data": model.spec.data._asdict(),
        "step": model.step,
        "origin": model.origin(),
    }


def arrays(model: Any) -> dict[str, np.ndarray]:
    """Parameters by the tree's paths joined by "/", cut to the effective size.

    Of an objective without a prior also the Gaussian of the training split's codes, as
    "density/…", if the model knows one or can fit it.
    """
    params = model_lib.trim(model.params, model.latent_dim)
    leaves = jax.tree_util.tree_leaves_with_path(params)
    named = {name(path): np.asarray(a) for path, a in leaves}
    if model.spec.objective.prior is None:
        try:
            density = model.density("gaussian")
        except ex_post.Unfitted:  # codes of vectors, one example: it cannot sample
            return named
        named |= {_DENSITY + n: np.asarray(a) for n, a in density._asdict().items()}
    return named


def name(path: tuple) -> str:
    """The name of a parameter: its path in the tree."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def parts(
    facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray], where: str = "this"
) -> Parts:
    """The inverse of ``facts`` and ``arrays``.

    Raises:
      InputError: of another version of this format, or not what it says that it is;
        its objective or network is a file that is not there.
      Exception: of any kind, where facts are none that ``facts`` gives.
    """
    check_version(facts, where)
    config = configs.Config.from_json(facts["config"])
    config = specs.complete(config, config.hparams)
    data = sources.facts(facts["data"])
    if isinstance(data.scale, bool) or not 0 < data.scale < math.inf:
        raise ValueError(f"scale is {data.scale!r}")
    spec = specs.build(config, data)
    shapes = populations.Population(0, (), spec).state_shapes.params

    def array(path: tuple, shape: jax.ShapeDtypeStruct) -> np.ndarray:
        return _checked(arrays, name(path), shape.shape, shape.dtype, where)

    params = jax.tree_util.tree_map_with_path(array, shapes)
    density = _density(arrays, config.latent_dim, where)
    return Parts(spec, config, params, _step(facts, spec), density, _origin(facts))


def _checked(arrays, name: str, shape: tuple, kind: Any, where: str) -> np.ndarray:
    """The array of this name, if it is one of that shape and kind of number."""
    array = arrays.get(name)
    what = "no array" if array is None else f"shape {array.shape}"
    if array is not None and array.shape == shape:
        if np.can_cast(array.dtype, kind, "same_kind"):
            return np.asarray(array, kind)
        what = f"type {array.dtype}"
    raise configs.InputError(
        f"{where} does not hold the model that it describes: {what} of '{name}', which "
        f"has shape {shape} and type {np.dtype(kind)}; export it again"
    )


def _density(arrays, k: int, where: str) -> ex_post.Density | None:
    """That of codes (N, k); None if there is none."""
    if not any(n.startswith(_DENSITY) for n in arrays):
        return None
    shapes = ex_post.Density(weights=(1,), means=(1, k), roots=(1, k, k), scale=())
    return ex_post.Density(
        *(
            _checked(arrays, _DENSITY + n, shape, np.float64, where)
            for n, shape in shapes._asdict().items()
        )
    )


def _step(facts: Mapping[str, Any], spec: specs.TrainSpec) -> int:
    step = facts["step"]
    if isinstance(step, bool) or not isinstance(step, int):
        raise ValueError(f"step is {step!r}")
    if not 0 <= step <= spec.steps:
        raise ValueError(f"step is {step} of {spec.steps}")
    return step


def _origin(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    origin = facts.get("origin", {})
    if not isinstance(origin, Mapping):
        raise ValueError(f"origin is {str(origin)[:99]}")
    return origin


def check_version(facts: Mapping[str, Any], where: str) -> None:
    """Refuses what another version has written."""
    version = facts.get("format")
    if type(version) is not int or version != VERSION:  # true is 1, and so is 1.0
        raise configs.InputError(
            f"{where} is an export of format {version!r}, by aejax "
            f"{facts.get('aejax', 'unknown')}; this version reads format {VERSION}: "
            "export it again from its run"
        )
