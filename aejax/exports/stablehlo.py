"""StableHLO: what a process with jax alone loads and calls, for any number of rows.

A file is what ``jax.export`` serialises: a function's StableHLO for CPU, CUDA and TPU,
in which the number of examples is a symbol, at least 1, and parameters are constants.
Later versions of jax read it, for six months at least, as jax promises.
"""

import pathlib
from collections.abc import Mapping

import jax
import jax.export
import numpy as np

from aejax import config as configs
from aejax import settings
from aejax.exports import arrays as stored
from aejax.exports import functions, npz

NEEDS = {"write": (), "read": ()}
PLATFORMS = ("cpu", "cuda", "tpu")
load, FILE = npz.load, npz.FILE


@settings.usual()
def write(
    parts: stored.Parts, arrays: Mapping[str, np.ndarray], folder: pathlib.Path
) -> None:
    """``NAME.stablehlo`` of each function, and the arrays.

    Raises:
      InputError: a function that cannot be traced for a symbolic number of rows.
    """
    npz.write(parts, arrays, folder)
    (rows,) = jax.export.symbolic_shape("n")
    for name, function in functions.of(parts).items():
        jitted = jax.jit(function.call)
        try:
            traced = jax.export.export(jitted, platforms=PLATFORMS)
            (folder / f"{name}.stablehlo").write_bytes(
                traced(*function.shapes(rows)).serialize()
            )
        except (TypeError, ValueError, NotImplementedError) as error:
            raise configs.InputError(
                f"{name} of {functions.title(parts)} cannot be traced for any number "
                f"of examples, which StableHLO is exported for: {error}"
            ) from error


def usage(parts: stored.Parts) -> str:
    """For the model card."""
    known = functions.of(parts)
    given = {name: ", ".join(function.inputs) for name, function in known.items()}
    calls = [
        f'{", ".join(known[n].outputs)} = loaded("{n}")({given[n]})' for n in known
    ]
    code = [
        "import pathlib",
        "",
        "import jax.export",
        "",
        "",
        "def loaded(name):",
        '    file = pathlib.Path(f"{name}.stablehlo")',
        "    return jax.export.deserialize(bytearray(file.read_bytes())).call",
        "",
        "",
        *calls,
    ]
    about = (
        "jax (with `pip install flatbuffers`, which it reads files by) calls these "
        "functions, on CPU, CUDA or TPU and for any N from 1; parameters are inside. "
        "Wrap one in `jax.jit` to call it often.\n\n"
    )
    listing = "```python\n" + "\n".join(code) + "\n```\n\n"
    seeds = "seed: uint32, one for each sample, which depends on it alone.\n\n"
    seeds *= "sample" in known
    return about + listing + seeds + functions.table(parts, known)
