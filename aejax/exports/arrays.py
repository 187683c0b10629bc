"""A trained autoencoder as facts in JSON's types and arrays by name, and back.

No pickle: whoever reads them needs NumPy, and runs nobody's code.
"""

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
        except configs.InputError:  # codes of vectors, one example: it cannot sample
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
    """
    check_version(facts, where)
    config = configs.Config.from_json(facts["config"])
    config = specs.complete(config, config.hparams)
    spec = specs.build(config, sources.facts(facts["data"]))
    shapes = populations.Population(0, (), spec).state_shapes.params

    def array(path: tuple, shape: jax.ShapeDtypeStruct) -> np.ndarray:
        stored = arrays.get(name(path))
        if stored is None or stored.shape != shape.shape:
            what = "no array" if stored is None else f"shape {stored.shape}"
            raise configs.InputError(
                f"{where} does not hold the model that it describes: {what} of "
                f"'{name(path)}', which has shape {shape.shape}; export it again"
            )
        return np.asarray(stored, shape.dtype)

    params = jax.tree_util.tree_map_with_path(array, shapes)
    known = [arrays.get(_DENSITY + n) for n in ex_post.Density._fields]
    density = None if any(a is None for a in known) else ex_post.Density(*known)
    origin = facts.get("origin", {})
    return Parts(spec, config, params, int(facts["step"]), density, origin)


def check_version(facts: Mapping[str, Any], where: str) -> None:
    """Refuses what another version has written."""
    if facts.get("format") != VERSION:
        raise configs.InputError(
            f"{where} is an export of format {facts.get('format')!r}, by aejax "
            f"{facts.get('aejax', 'unknown')}; this version reads format {VERSION}: "
            "export it again from its run"
        )
