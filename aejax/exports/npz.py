"""NumPy's own file: ``params.npz`` has the arrays by name."""

import pathlib
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np

from aejax.exports import arrays as stored
from aejax.exports import folder as folders

NEEDS = ()
FILE = "params.npz"


def write(
    parts: stored.Parts, arrays: Mapping[str, np.ndarray], folder: pathlib.Path
) -> None:
    """The arrays."""
    np.savez(folder / FILE, **arrays)


def load(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays.

    Raises:
      InputError: the file is damaged.
    """
    try:
        # Opened here: NumPy leaves a file open that turns out to be no archive.
        with open(folder / FILE, "rb") as file:
            return dict(np.load(file, allow_pickle=False))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise folders.damaged(folder, FILE, error) from error


def usage(parts: stored.Parts) -> str:
    """For the model card."""
    return (
        "`params.npz` has the parameters by name; aejax/exports/README.md of the "
        "package has a reader of an `mlp` that needs NumPy alone."
    )
