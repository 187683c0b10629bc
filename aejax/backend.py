"""How jax starts, in commands and in workers; ``import aejax`` does none of it."""

import contextlib
import functools
import importlib.metadata
import os
import pathlib
import platform
import re
import tempfile
import zlib
from typing import Any

from aejax import config, machine

_FUSION = "--xla_cpu_experimental_ynn_fusion_type"
MOST_DEVICES = 1024
_WRONG_ROWS = ("0.10.2",)


def prepare_xla_flags() -> None:
    """Works around wrong results of jaxlib 0.10.2 on CPUs; call it before jax starts.

    There a jitted ``vmap(lambda r: sum((m @ r) ** 2))`` over 32,769 rows of 3 returns a
    wrong row (jax#39103). 0.10.0, 0.10.1 and everything from 0.11.0 to 0.12.0.1 is
    right. No fusion types at all cures it, at no measured cost. XLA ends the process at
    a flag that it does not know, so other versions, older and newer, are left alone.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    version = importlib.metadata.version("jaxlib").partition("+")[0]
    if version in _WRONG_ROWS and _FUSION not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_FUSION}=".strip()


def start(members: int, devices: int | None, threads: str | None = None) -> list[Any]:
    """Imports jax with its compilation cache on, and the devices to lay members over.

    On a CPU every member computes on its own virtual device, up to one per usable core,
    because small networks gain more from that than from threads inside an operation.
    A backend that runs already, as in a test, keeps the devices that it has.

    Args:
      members: of the largest population.
      devices: how many the user asked for, or None.
      threads: size of XLA's thread pool, unless ``PJRT_NPROC`` says it; the number of
        usable cores if None. It decides how sums of wide layers are cut, so it is part
        of a run's last digits, and written down with it.

    Raises:
      InputError: fewer accelerators than the user asked for, or a number of devices
        that no machine has.
    """
    if devices is not None and not 1 <= devices <= MOST_DEVICES:
        raise config.InputError(
            f"--devices is {devices}; it must lie in [1, {MOST_DEVICES}]"
        )
    prepare_xla_flags()
    os.environ.setdefault("PJRT_NPROC", threads or str(machine.usable_cores()))
    import jax

    from aejax.data import cache

    folder = jax.config.jax_compilation_cache_dir
    if not folder:
        version = importlib.metadata.version("jaxlib")
        entries = cache.root() / f"xla-{_cpu()}-jaxlib{version}"
        with contextlib.suppress(OSError):  # without a cache it is only slower
            entries.mkdir(parents=True, exist_ok=True)
            folder = str(entries)
    if folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    elsewhere = "JAX_NUM_CPU_DEVICES" in os.environ
    elsewhere |= "host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if devices or not elsewhere:
        with contextlib.suppress(RuntimeError):
            jax.config.update(
                "jax_num_cpu_devices", devices or min(members, machine.usable_cores())
            )
    known = jax.devices()
    if devices and devices > len(known) and known[0].platform != "cpu":
        raise config.InputError(
            f"--devices is {devices}, but this machine has {len(known)} of the kind "
            f"{known[0].device_kind}; give at most that many"
        )
    return known[:devices]


@functools.cache  # what holds the core lives as long as this
def claim_core() -> Any:
    """Binds this process to a core that no other worker of this machine has.

    XLA's thread pool follows affinity alone: two workers on two cores would each take
    both. A process holds its core as long as it lives; where all are taken, or there
    is no such thing as affinity, it may use all.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    import filelock

    for core in sorted(os.sched_getaffinity(0)):
        lock = filelock.FileLock(
            pathlib.Path(tempfile.gettempdir()) / f"aejax-{os.getuid()}-core-{core}",
            timeout=0,
        )
        with contextlib.suppress(filelock.Timeout, OSError):
            lock.acquire()
            os.sched_setaffinity(0, {core})
            return lock
    return None


def _cpu() -> str:
    """Of the CPU's model and instructions: compiled code is for one kind of CPU."""
    facts = platform.machine()
    with contextlib.suppress(OSError):
        text = pathlib.Path("/proc/cpuinfo").read_text()
        names = re.findall(r"^(?:model name|flags|Features)\s*: .*", text, re.M)
        facts += str(sorted(set(names)))
    return f"{zlib.crc32(facts.encode()):08x}"
