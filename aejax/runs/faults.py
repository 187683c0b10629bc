"""What the machine refuses, memory and disks, as one paragraph each."""

import contextlib
import errno
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax

from aejax import config, machine
from aejax.training import population as populations


@contextlib.contextmanager
def explained(dir: pathlib.Path | None) -> Iterator[None]:
    """Memory that ends and files that cannot be written, as InputErrors."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise config.InputError(
            "the device's memory is full; give a smaller --vmap (members computed "
            "with at once) or --batch-size, and --resume if --out was given"
        ) from error
    except MemoryError as error:
        raise config.InputError(
            f"this machine's memory is full ({str(error)[:200] or 'no size told'}); "
            "give smaller networks (--hidden), fewer members or a smaller data set, "
            "and --resume if --out was given"
        ) from error
    except OSError as error:
        # Of no file, as a callback's of the network are: not ours to explain.
        ours = error.filename is not None or error.errno == errno.EIO
        if isinstance(error, BrokenPipeError) or not (ours or machine.is_full(error)):
            raise
        message = f"{error.strerror or error} ({error.filename or dir})"
        advice = (
            "what was saved before is intact: make room and run the same command "
            "with --resume"
            if machine.is_full(error)
            else "nothing that was saved before is lost; give another --out, or make "
            "it writable and add --resume"
        )
        raise config.InputError(f"{message}; {advice}") from error


def check_memory(
    planned: Sequence[populations.Population], devices: Sequence[jax.Device]
) -> None:
    """Refuses populations whose states alone are larger than all memory there is.

    Raises:
      InputError: with the sizes.
    """
    limit = machine.memory()
    if devices[0].platform != "cpu":
        stats: Any = devices[0].memory_stats() or {}
        limit = stats.get("bytes_limit", limit) * len(devices)
    for population in planned:
        count, state = len(population.members), population.state_bytes()
        if state * count + population.data_bytes() > limit:
            import humanize

            sizes = state, population.data_bytes(), limit
            state, data, limit = map(humanize.naturalsize, sizes)
            raise config.InputError(
                f"{count:,} × {state} for the states of the members of program "
                f"{population.index + 1} and {data} for its data are more than this "
                f"machine's {limit}; give smaller networks (--hidden), fewer members "
                "or a smaller data set. Nothing was written"
            )
