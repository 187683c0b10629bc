"""What entry points share: how jax starts, and how a command ends.

``import aejax`` does none of it.
"""

import contextlib
import importlib.metadata
import io
import logging
import os
import pathlib
import platform
import re
import signal
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from aejax import config, machine

_FUSION = "--xla_cpu_experimental_ynn_fusion_type"
_MOST_DEVICES = 1024
_LONGEST = 4096
_WRONG_ROWS = ("0.10.2",)


def run(command: Callable[[list[str]], int], argv: Sequence[str] | None) -> int:
    """Runs a command on its words, those of the shell if None; its exit code.

    Bad input gives 2 and one paragraph on stderr, Ctrl-C 130.
    """
    quiet()
    for stream in (sys.stdout, sys.stderr):  # a path may hold bytes that are no UTF-8
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with warnings.catch_warnings():
            # A cache that cannot be read or written costs time, never a run.
            warnings.filterwarnings("ignore", "Error (reading|writing) persistent comp")
            warnings.showwarning = _show
            words = list(sys.argv[1:] if argv is None else argv)
            if (longest := max(map(len, words), default=0)) > _LONGEST:
                raise config.InputError(
                    f"a word of this command has {longest:,} characters; {_LONGEST:,} "
                    "are the most, as of a path"
                )
            return command(words)
    except SystemExit as end:  # tyro: 0 after --help, 2 after a message of its own
        return end.code
    except config.InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _show(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _tells_others(record: logging.LogRecord) -> bool:
    """Whether asyncio tells of more than arrays that failed with one already told."""
    text = record.getMessage()
    return not ("never retrieved" in text and "OCDBT database at" in text)


class _Hook:
    """``sys.excepthook`` or ``unraisablehook``, less tensorstore's of a closed loop.

    orbax gives each save and restore an event loop, and closes it at the first array
    that fails; tensorstore's threads then report the others to it, and print that they
    cannot. The error itself reaches the caller.
    """

    def __init__(self, before: Callable[..., None]):
        self.before = before

    def __call__(self, *what: Any) -> None:
        _, error, trace, *_ = what if len(what) > 1 else what[0]
        first = trace and trace.tb_frame.f_code.co_name  # called by C++, not by Python
        late = str(error) == "Event loop is closed" and first == "call_soon_threadsafe"
        if not late:
            self.before(*what)


def quiet() -> None:
    """Leaves out what orbax's threads print of an error that we explain in a line."""
    logging.getLogger("asyncio").addFilter(_tells_others)
    for name in ("excepthook", "unraisablehook"):  # one of them, by the error
        if not isinstance(before := getattr(sys, name), _Hook):
            setattr(sys, name, _Hook(before))


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
    if devices is not None and not 1 <= devices <= _MOST_DEVICES:
        raise config.InputError(
            f"--devices is {devices}; it must lie in [1, {_MOST_DEVICES}]"
        )
    prepare_xla_flags()
    os.environ.setdefault("PJRT_NPROC", threads or str(machine.usable_cores()))
    import jax

    from aejax.data import cache

    folder = jax.config.jax_compilation_cache_dir
    if not folder:
        version = importlib.metadata.version("jaxlib")
        default = cache.root() / f"xla-{_cpu()}-jaxlib{version}"
        with contextlib.suppress(OSError):  # without a cache it is only slower
            default.mkdir(parents=True, exist_ok=True)
            folder = str(default)
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
    present = jax.devices()
    if devices and devices > len(present) and present[0].platform != "cpu":
        raise config.InputError(
            f"--devices is {devices}, but this machine has {len(present)} of the kind "
            f"{present[0].device_kind}; give at most that many"
        )
    return present[:devices]


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Here the first Ctrl-C or SIGTERM only makes the function that is given true.

    It does so when the device returns, in seconds at most. A second Ctrl-C ends the
    process at once, which is safe: a run directory survives a kill at any moment.
    """
    requested: list[int] = []

    def request(number: int, _: Any) -> None:
        if not requested:
            print("\nsaving… (Ctrl-C again: stop at once)", flush=True)
        requested.append(number)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    numbers = signal.SIGINT, signal.SIGTERM
    before = {number: signal.signal(number, request) for number in numbers}
    try:
        yield lambda: bool(requested)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _cpu() -> str:
    """Of the CPU's model and instructions: compiled code is for one kind of CPU."""
    facts = platform.machine()
    with contextlib.suppress(OSError):
        text = pathlib.Path("/proc/cpuinfo").read_text()
        lines = re.findall(r"^(?:model name|flags|Features)\s*: .*", text, re.M)
        facts += str(sorted(set(lines)))
    return f"{zlib.crc32(facts.encode()):08x}"
