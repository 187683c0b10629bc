"""A trained autoencoder, taken away: as files that others read.

``params.npz`` has the arrays by name, ``config.json`` the configuration and
``model.json`` all other facts; see ``arrays``.
"""

import json
import pathlib
from typing import Any

import numpy as np

from aejax import config as configs
from aejax.exports import arrays as stored


def write(model: Any, folder: Any) -> pathlib.Path:
    """Writes an ``autoencoder.Autoencoder`` into a folder.

    Raises:
      InputError: the folder is a file.
    """
    folder = pathlib.Path(folder).expanduser()
    if folder.exists() and not folder.is_dir():
        raise configs.InputError(f"'{folder}' is a file; export to a folder")
    folder.mkdir(parents=True, exist_ok=True)
    facts = stored.facts(model)
    np.savez(folder / "params.npz", **stored.arrays(model))
    for name, entry in ("config", facts.pop("config")), ("model", facts):
        (folder / f"{name}.json").write_text(json.dumps(entry, indent=2) + "\n")
    return folder


def read(folder: Any) -> stored.Parts:
    """The inverse of ``write``.

    Raises:
      InputError: no export, or of another version.
    """
    folder = pathlib.Path(folder).expanduser()
    facts = json.loads((folder / "model.json").read_text())
    facts["config"] = json.loads((folder / "config.json").read_text())
    with np.load(folder / "params.npz", allow_pickle=False) as file:
        return stored.parts(facts, dict(file), f"'{folder}'")
