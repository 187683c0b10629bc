"""``--engine`` and ``--shard``: sweeps whose shards workers train, or shares of one."""

import json
import os
import pathlib
from typing import Any

from aejax import config, machine


def resources(flags: Any) -> dict[str, float] | None:
    """Of each of Ray's workers.

    Raises:
      InputError: not {name: number} as JSON.
    """
    if not flags.worker_resources:
        return None
    try:
        given = json.loads(flags.worker_resources)
        if given and all(type(v) in (int, float) and v > 0 for v in given.values()):
            return given
    except (ValueError, AttributeError):
        pass
    raise config.InputError(
        f"--worker-resources {flags.worker_resources!r} is not of the form "
        """'{"GPU": 1}'"""
    )


def share(flags: Any) -> tuple[int, int] | None:
    """(number, how many) of --shard.

    Raises:
      InputError: not I/N with 0 <= I < N; auto, where SLURM says nothing.
    """
    if not flags.shard:
        return None
    words = flags.shard.split("/")
    if flags.shard == "auto":
        known = [
            [os.environ.get(f"SLURM_{n}") for n in names]
            for names in (("PROCID", "NTASKS"), ("ARRAY_TASK_ID", "ARRAY_TASK_COUNT"))
        ]
        # A job array's tasks are jobs of one process each.
        words = next((w for w in reversed(known) if all(w)), [])
        if not words:
            raise config.InputError(
                "--shard auto: neither SLURM_PROCID and SLURM_NTASKS nor "
                "SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT are set; give I/N"
            )
    if len(words) == 2 and all(w.isdecimal() for w in words):
        number, count = map(int, words)
        if number < count:
            return number, count
    raise config.InputError(
        f"--shard is {'/'.join(words)}; it must be I/N, a share from 0 to N - 1"
    )


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


def sweep(
    flags: Any, rule: Any, asked: dict[str, Any], environment: dict[str, str]
) -> Any:
    """The Run of these flags' engine; ``asked`` are arguments of ``aejax.sweep``.

    ``rule`` is that of --halving.
    """
    from aejax.engines import driver, engine

    more = {}
    if flags.engine == "ray":
        more = {"address": flags.address, "resources": resources(flags)}
    asked = _settings(asked | {"halving": rule}, flags.allow_mixed)
    opened = engine.open_engine(flags.engine, flags.workers, **more)
    return driver.sweep(workers=opened, environment=environment, **asked)


def train_share(
    part: tuple[int, int], devices: list[Any], asked: dict[str, Any]
) -> bool:
    """Whether the share ``part`` of --shard is done; ``asked`` as of ``sweep``."""
    from aejax.engines import driver

    return driver.share(part=part, devices=devices, **_settings(asked))


def _settings(asked: dict[str, Any], mixed: bool = False) -> dict[str, Any]:
    """Arguments of ``aejax.sweep`` as a driver takes them."""
    from aejax.engines import driver

    names = [n for n in ("resume", "vmap", "command", "halving") if n in asked]
    out = pathlib.Path(asked["out"]).expanduser()
    settings = {n: asked[n] for n in names} | {"out": out, "mixed": mixed}
    rest = {n: v for n, v in asked.items() if n not in (*names, "out")}
    return rest | {"asked": driver.Settings(**settings)}
