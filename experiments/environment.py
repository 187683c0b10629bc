"""What entry points share: how a command ends, and what it prints of others' errors."""

import contextlib
import io
import logging
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from aejax import backend, config

start, prepare_xla_flags = backend.start, backend.prepare_xla_flags
_LONGEST = 4096  # characters of a word


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
