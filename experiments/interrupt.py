"""Ctrl-C: the first lets a sweep finish its dispatch and save, the second ends it."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable


class Interrupts:
    """A context in which SIGINT and SIGTERM only make ``requested()`` true.

    Python runs a signal's handler when the main thread is back from the device, which
    may take seconds. The wake-up descriptor is written at once; the thread that reads
    it answers the first Ctrl-C and ends the process at the second. That is safe: a run
    directory survives a kill at any moment.

    Args:
      say: shows a line, from another thread.
      leave: restores the terminal before the process ends.
    """

    def __init__(self, say: Callable[[str], None], leave: Callable[[], None]):
        self._say, self._leave = say, leave
        self._requested = threading.Event()

    def requested(self) -> bool:
        """Whether the sweep should stop after its current dispatch."""
        return self._requested.is_set()

    def __enter__(self) -> "Interrupts":
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._handlers = {
            number: signal.signal(number, lambda *_: None)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._before)
        os.write(self._write, b"\0")
        self._thread.join()
        os.close(self._read)
        os.close(self._write)

    def _listen(self) -> None:
        while number := os.read(self._read, 1)[0]:
            if number == signal.SIGINT and self.requested():
                with contextlib.suppress(Exception):
                    self._leave()
                os._exit(130)
            if number in self._handlers and not self.requested():
                self._requested.set()
                self._say(
                    "finishing the current dispatch… (Ctrl-C again: stop at once)"
                )
