"""What the machine refuses, memory and disks, as one paragraph each."""

import contextlib
import errno
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax

from aejax import config, machine
from aejax import group as groups


@contextlib.contextmanager
def explained(dir: pathlib.Path | None) -> Iterator[None]:
    """Memory that ends and files that cannot be written, as InputErrors."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise config.InputError(
            "the device's memory is full; give a smaller --lane-batch (lanes trained "
            "side by side) or --batch-size, and --resume if --out was given"
        ) from error
    except MemoryError as error:
        raise config.InputError(
            f"this machine's memory is full ({str(error)[:200] or 'no size told'}); "
            "give smaller networks (--hidden), fewer lanes or a smaller data set, and "
            "--resume if --out was given"
        ) from error
    except OSError as error:
        # Of no file, as a callback's of the network are: not ours to explain.
        ours = error.filename is not None or error.errno == errno.EIO
        if isinstance(error, BrokenPipeError) or not (ours or machine.is_full(error)):
            raise
        told = f"{error.strerror or error} ({error.filename or dir})"
        advice = (
            "what was saved before is intact: make room and run the same command "
            "with --resume"
            if machine.is_full(error)
            else "nothing that was saved before is lost; give another --out, or make "
            "it writable and add --resume"
        )
        raise config.InputError(f"{told}; {advice}") from error


def check_memory(
    planned: Sequence[groups.Group], devices: Sequence[jax.Device]
) -> None:
    """Refuses groups whose states alone are larger than all memory there is.

    Raises:
      InputError: with the sizes.
    """
    limit = machine.memory()
    if devices[0].platform != "cpu":
        stats: Any = devices[0].memory_stats() or {}
        limit = stats.get("bytes_limit", limit) * len(devices)
    for group in planned:
        need = group.state_bytes() * len(group.lanes) + group.data_bytes()
        if need > limit:
            raise config.InputError(
                f"{len(group.lanes):,} × {group.state_bytes() / 1e9:,.3g} GB for the "
                f"states of the lanes of program {group.index + 1} and "
                f"{group.data_bytes() / 1e9:,.3g} GB for its data are more than this "
                f"machine's {limit / 1e9:,.3g} GB; give smaller networks (--hidden), "
                "fewer lanes or a smaller data set. Nothing was written"
            )
