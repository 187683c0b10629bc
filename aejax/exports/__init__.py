"""A trained autoencoder, taken away: as files that others read.

A folder has the parameters, ``config.json`` with the configuration, ``model.json`` with
all other facts and README.md, a model card; see ``arrays`` and ``card``. Formats are
files here, and import what they need when they are asked for.
"""

import importlib
import importlib.util
import json
import pathlib
from types import ModuleType
from typing import Any

from aejax import config as configs
from aejax.exports import arrays as stored
from aejax.exports import card
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

    Raises:
      InputError: an unknown format, or one whose package is not installed; the folder
        is a file, holds other things or cannot be written; the model has no such form.
    """
    module = _format(format)
    folder = pathlib.Path(folder).expanduser()
    with folders.replaced(folder, format) as new:
        facts, arrays = stored.facts(model), stored.arrays(model)
        parts = stored.parts(facts, arrays)
        module.write(parts, arrays, new)
        _write_json(new / CONFIG, facts.pop("config"))
        facts |= {"kind": format, "files": folders.digests(new)}
        _write_json(new / folders.FACTS, facts)
        text = card.text(parts, facts, module.usage(parts))
        (new / folders.CARD).write_text(text, "utf-8")
    return folder


def read(folder: Any) -> stored.Parts:
    """The inverse of ``write``, of any format.

    Raises:
      InputError: no export, of another version, damaged; or its package is missing.
    """
    folder = pathlib.Path(folder).expanduser()
    facts = folders.facts(folder)
    stored.check_version(facts, f"'{folder}'")
    module = _format(facts.get("kind", "npz"))
    folders.check_files(folder, facts.get("files", {}))
    facts["config"] = folders.json_of(folder, CONFIG)
    arrays = module.load(folder)
    try:
        return stored.parts(facts, arrays, f"'{folder}'")
    except configs.InputError:
        raise
    except Exception as error:  # whatever stands there instead
        why = f"{type(error).__name__}: {error}"[:300]
        raise folders.damaged(folder, folders.FACTS, why) from error


def _write_json(path: pathlib.Path, entry: Any) -> None:
    path.write_text(json.dumps(entry, indent=2) + "\n", "utf-8")


def _format(name: str) -> ModuleType:
    """The module of a format, if all that it needs is installed."""
    if name not in FORMATS:
        raise configs.unknown("format", name, FORMATS)
    module = importlib.import_module(f"aejax.exports.{name}")
    for package in module.NEEDS:
        if not importlib.util.find_spec(package):
            raise configs.InputError(
                f"format '{name}' needs {package}, which is not installed: "
                f'pip install "aejax[{name}]"'
            )
    return module
