"""``--engine`` and ``--shard``: sweeps whose shards workers train, or shares of one."""

import os
import pathlib
from typing import Any

from aejax import machine
from experiments import options


def variables(threads: str | None) -> dict[str, str]:
    """What workers start jax with; call it before the driver's own jax starts.

    That is on the CPU alone: a driver that took a TPU would keep its workers off it.
    """
    # The pool's size is part of the digits of wide layers, whatever cores a worker has.
    os.environ.setdefault("PJRT_NPROC", threads or str(machine.usable_cores()))
    kinds = ("JAX_", "XLA_", "AEJAX_", "TFDS_", "PJRT_")
    known = {n: v for n, v in os.environ.items() if n.startswith(kinds)}
    os.environ["JAX_PLATFORMS"] = "cpu"
    return {"JAX_PLATFORMS": ""} | known


def sweep(flags: Any, asked: dict[str, Any], environment: dict[str, str]) -> Any:
    """The Run of these flags' engine; ``asked`` are arguments of ``aejax.sweep``."""
    from aejax.engines import driver, engine

    more = {}
    if flags.engine == "ray":
        more = {"address": flags.address, "resources": options.resources(flags)}
    asked = _settings(asked, flags.allow_mixed)
    opened = engine.open_engine(flags.engine, flags.workers, **more)
    return driver.sweep(workers=opened, environment=environment, **asked)


def share(part: tuple[int, int], asked: dict[str, Any]) -> bool:
    """Whether the share ``part`` of --shard is done; ``asked`` as of ``sweep``."""
    from aejax.engines import driver

    return driver.share(part=part, **_settings(asked))


def _settings(asked: dict[str, Any], mixed: bool = False) -> dict[str, Any]:
    """Arguments of ``aejax.sweep`` as a driver takes them."""
    from aejax.engines import driver

    names = ("resume", "vmap", "command")
    out = pathlib.Path(asked["out"]).expanduser()
    settings = {n: asked[n] for n in names} | {"out": out, "mixed": mixed}
    rest = {n: v for n, v in asked.items() if n not in (*names, "out")}
    return rest | {"asked": driver.Settings(**settings)}
