"""Safetensors: ``params.safetensors`` has the arrays by name."""

import pathlib
from collections.abc import Mapping

import numpy as np

from aejax.exports import arrays as stored
from aejax.exports import folder as folders

NEEDS = {"write": ("safetensors",), "read": ("safetensors",)}
FILE = "params.safetensors"


def write(
    parts: stored.Parts, arrays: Mapping[str, np.ndarray], folder: pathlib.Path
) -> None:
    """The arrays.

    Raises:
      OSError: they cannot be written.
    """
    import safetensors.numpy

    # It writes the bytes of an array as they lie in memory.
    rows = {n: np.array(a, order="C") for n, a in arrays.items()}
    try:
        safetensors.numpy.save_file(rows, folder / FILE)
    except safetensors.SafetensorError as error:  # so it says that a disk is full
        raise OSError(str(error)) from error


def load(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays.

    Raises:
      InputError: the file is damaged.
    """
    import safetensors.numpy

    try:
        return safetensors.numpy.load_file(folder / FILE)
    except Exception as error:  # of types that NumPy has not, for example
        why = f"{type(error).__name__}: {error}"
        raise folders.damaged(folder, FILE, why) from error


def usage(parts: stored.Parts) -> str:
    """For the model card."""
    return (
        "`params.safetensors` has the parameters by name:\n\n```python\n"
        "import safetensors.numpy\n\n"
        'params = safetensors.numpy.load_file("params.safetensors")\n```'
    )
