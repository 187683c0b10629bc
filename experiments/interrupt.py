"""Ctrl-C: the first lets a sweep finish its dispatch and save, the second ends it."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def caught(say: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Here SIGINT and SIGTERM only make the function that is given true.

    Python runs a signal's handler when the main thread is back from the device, which
    may take seconds. The wake-up descriptor is written at once; the thread that reads
    it answers the first Ctrl-C with ``say`` and ends the process at the second. That is
    safe: a run directory survives a kill at any moment.
    """
    requested = threading.Event()
    read, write = os.pipe()
    os.set_blocking(write, False)

    def listen() -> None:
        while number := os.read(read, 1)[0]:
            if number == signal.SIGINT and requested.is_set():
                if sys.stdout.isatty():  # the bars have hidden its cursor
                    os.write(sys.stdout.fileno(), b"\x1b[?25h\n")
                os._exit(130)
            if number in handlers and not requested.is_set():
                requested.set()
                say("finishing the current dispatch… (Ctrl-C again: stop at once)")

    before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    handlers = {
        number: signal.signal(number, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield requested.is_set
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        os.write(write, b"\0")
        thread.join()
        os.close(read)
        os.close(write)
