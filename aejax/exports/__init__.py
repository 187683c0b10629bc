"""A trained autoencoder, taken away: as files that others read.

A folder has the parameters, ``config.json`` with the configuration, ``model.json`` with
all other facts and README.md, a model card; see ``arrays`` and ``card``. Formats are
files here, and import what they need when they are asked for.
"""

import importlib
import importlib.util
import json
import pathlib
import warnings
from types import ModuleType
from typing import Any

import jax
import numpy as np

from aejax import config as configs
from aejax.exports import arrays as stored
from aejax.exports import card, code, functions, public
from aejax.exports import folder as folders

FORMATS = ("npz", "safetensors", "stablehlo", "onnx")
CONFIG = "config.json"


def write(model: Any, folder: Any, format: str = "npz") -> pathlib.Path:
    """Writes an ``autoencoder.Autoencoder`` into a folder, whole or not at all.

    Args:
      model: it.
      folder: a new or empty one, or an export of the same format, which is replaced.
      format: "npz" and "safetensors" have the parameters; "stablehlo" and "onnx" have
        these as an npz, and the functions that use them.

    Returns:
      The folder's full path.

    Raises:
      InputError: an unknown format, or one whose package is not installed; the folder
        is a file or the current folder, holds other things or cannot be written; the
        model has no such form, or is of a file that has changed since.
    """
    module = _format(format, "write")
    target = folders.located(folder)
    folders.check(target, format)  # before the data are read and encoded
    facts, arrays = stored.facts(model), stored.arrays(model)
    # Functions are those of float32, whatever the user computes with beside them.
    with jax.enable_x64(False):
        parts = stored.parts(facts, arrays)
        facts["code"] = code.digests(facts["config"], parts.origin.get("code") or {})
        facts = public.facts(facts)
        parts = parts._replace(origin=facts["origin"])
        _warn(parts, arrays)
        with folders.replaced(target, format) as new:
            module.write(parts, arrays, new)
            _write_json(new / CONFIG, facts.pop("config"))
            facts |= {"kind": format, "files": folders.digests(new)}
            text = card.text(parts, facts, module.usage(parts))
            (new / folders.CARD).write_text(text, "utf-8")
            facts["card"] = folders.digests(new)[folders.CARD]
            _write_json(new / folders.FACTS, facts)
    return target


def _warn(parts: stored.Parts, arrays: dict[str, Any]) -> None:
    """Of what an export is not."""
    title = functions.title(parts)
    wrong = [n for n, a in arrays.items() if not np.isfinite(a).all()]
    if wrong:
        names = configs.listed(wrong, 3)
        warnings.warn(f"{title}: arrays are not finite: {names}", stacklevel=4)
    if not functions.can_sample(parts):
        warnings.warn(
            f"{title} has no prior, and no density of its codes is known: the export "
            "cannot sample",
            stacklevel=4,
        )


def read(folder: Any, own_code: bool = False) -> stored.Parts:
    """The inverse of ``write``, of any format.

    Args:
      folder: of an export.
      own_code: whether an objective or network file that it names may run. Without
        them nothing of an export is code.

    Raises:
      InputError: no export, of another version, damaged; its package is missing; it
        needs files that are not there, are others by now, or may not run.
    """
    folder = folders.located(folder)
    facts = folders.facts(folder)
    stored.check_version(facts, f"'{folder}'")
    module = _format(facts.get("kind"), "read")
    folders.check_files(folder, facts, (CONFIG, module.FILE))
    facts["config"] = folders.json_of(folder, CONFIG)
    code.check(facts["config"], facts.get("code"), own_code, folder)
    arrays = module.load(folder)
    try:
        parts = stored.parts(facts, arrays, f"'{folder}'")
        card.text(parts, facts, "")  # all that is said of it can be said again
        return parts
    except configs.InputError:
        raise
    except Exception as error:  # whatever stands there instead
        why = f"{type(error).__name__}: {error}"
        raise folders.damaged(folder, folders.FACTS, why) from error


def _write_json(path: pathlib.Path, entry: Any) -> None:
    path.write_text(json.dumps(entry, indent=2, allow_nan=False) + "\n", "utf-8")


def _format(name: Any, what: str) -> ModuleType:
    """The module of a format, if what it needs to "write" or "read" is installed."""
    if name not in FORMATS:
        raise configs.unknown("format", str(name), FORMATS)
    module = importlib.import_module(f"aejax.exports.{name}")
    for package in module.NEEDS[what]:
        if not importlib.util.find_spec(package):
            raise configs.InputError(
                f"format '{name}' needs {package}, which is not installed: "
                f'pip install "aejax[{name}]"'
            )
    return module
