"""What the campaigns share: a tally, limits of time and memory, what a good answer is.

A campaign is hostile use by the hundred, drawn with a fixed seed. It takes minutes, so
that no test runs it; from the root of the repository:

    python -m tests.campaigns.kills        100 SIGKILLs of 7 sweeps
    python -m tests.campaigns.damages      150 damages of run directories
    python -m tests.campaigns.commands     400 command lines
    python -m tests.campaigns.data_files   180 files and folders of data
    python -m tests.campaigns.outside      objective and network files
    python -m tests.campaigns.engines      kills of workers, nodes and drivers
    python -m tests.campaigns.searches     kills of searches; two on one PostgreSQL

Each prints what it tried, "tried N, good N, bad N" and all that was bad; its status is
1 if anything was. ``--only TEXT`` repeats the cases whose name has it. What they find
becomes a test of its own in tests/.
"""

import argparse
import contextlib
import faulthandler
import os
import pathlib
import random
import re
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

ROOT = pathlib.Path(__file__).parents[2]
MEMORY = 12 << 30  # bytes of address space


class Hang(BaseException):
    """The time of a case is over."""


class Campaign:
    """A folder of its own, random numbers, and the tally.

    The compiled programs are kept in $AEJAX_CACHE_DIR, so that two campaigns share
    them; in a folder of its own unless that is set.
    """

    def __init__(self, title: str, seed: int = 0):
        parser = argparse.ArgumentParser(title)
        parser.add_argument("--only", default="", help="cases whose name has this")
        parser.add_argument("--seed", type=int, default=seed)
        flags = parser.parse_args()
        self.only, self.seed = flags.only, flags.seed
        self._temporary = tempfile.TemporaryDirectory(prefix=f"{title}-")
        self.folder = pathlib.Path(self._temporary.name).resolve()
        os.environ.setdefault("AEJAX_CACHE_DIR", str(self.folder / "cache"))
        os.environ.setdefault("PJRT_NPROC", "2")
        self.rng = random.Random(self.seed)
        self.tried, self.bad, self.began = 0, [], time.monotonic()
        print(f"{title}, seed {self.seed}, in {self.folder}", flush=True)

    def chosen(self, name: str) -> bool:
        return self.only in name

    def note(self, name: str, fault: str | None) -> None:
        """Counts one case; ``fault`` says why it is a bad one."""
        self.tried += 1
        if not self.tried % 50:
            print(f"… {self.tried}, {time.monotonic() - self.began:.0f} s", flush=True)
        if fault:
            self.bad.append((name, fault))
            print(f"BAD  {name}: {fault[:2000]}", flush=True)

    def end(self) -> int:
        """The tally; the exit status."""
        seconds = time.monotonic() - self.began
        good = self.tried - len(self.bad)
        print(f"tried {self.tried}, good {good}, bad {len(self.bad)}; {seconds:.0f} s")
        for name, fault in self.bad:
            print(f"  {name}: {fault.splitlines()[0][:150]}")
        self._temporary.cleanup()
        return int(bool(self.bad))


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises ``Hang`` when it takes longer; ends the process if that does not help."""

    def ring(*_):
        raise Hang(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(3 * seconds + 60, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()


def damaged(rng: random.Random, content: bytes) -> bytes:
    """A file with bits flipped, cut, doubled in part or overwritten."""
    out = bytearray(content or b"?")
    kind, place = rng.randrange(5), rng.randrange(len(out))
    if kind < 2:
        for _ in range(1 + 9 * kind):
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    elif kind == 2:
        del out[place:]
    elif kind == 3:
        out[place : place + 8] = rng.choice([b"\xff", b"\0", b"9"]) * 8
    else:
        out[place:place] = out[place // 2 : place]
    return bytes(out)


def limit_memory() -> None:
    """For this process and its children."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


@contextlib.contextmanager
def captured() -> Iterator[Callable[[], tuple[str, str]]]:
    """What is written to the two outputs, C++'s too; a function gives both so far."""
    files = [tempfile.TemporaryFile() for _ in range(2)]
    kept = [os.dup(1), os.dup(2)]

    def read() -> tuple[str, ...]:
        sys.stdout.flush(), sys.stderr.flush()
        for file in files:
            file.seek(0)
        return tuple(file.read().decode("utf-8", "replace") for file in files)

    sys.stdout.flush(), sys.stderr.flush()
    for number, file in enumerate(files, 1):
        os.dup2(file.fileno(), number)
    try:
        yield read
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        for number, old in enumerate(kept, 1):
            os.dup2(old, number)
            os.close(old)


def answer(main: Callable, argv: list[str], seconds: float) -> tuple[int, str, str]:
    """A command's exit status and outputs, within this process."""
    with captured() as read:
        try:
            with limited(seconds):
                code = main(argv)
        except SystemExit as end:
            code = end.code
        except Hang as hang:
            code = f"hang: {hang}"
        except BaseException as error:
            code = f"{type(error).__name__}: {error}"[:500]
        return (code, *read())


def fault_of(code: object, err: str, allowed=(0, 2), limit: int = 2000) -> str | None:
    """Why an answer is a bad one: what came back, and what was said on stderr."""
    lines = err.strip().splitlines()
    words = [line for line in lines if not line.startswith("warning: ")]
    if not isinstance(code, int) or isinstance(code, bool):
        return f"ended by {code}\n{err[-800:]}"
    if code not in allowed:
        return f"status {code}\n{err[-800:]}"
    if "Traceback" in err or re.search(r"^\w*(Error|Exception|Warning)\b", err, re.M):
        return f"a traceback on stderr\n{err[-1500:]}"
    if code in (1, 2):
        text = "\n".join(words)
        box = text.startswith("╭") and text.endswith("╯")
        usage = text.startswith("usage: ")  # of argparse
        if not box and not usage and not text.startswith("error: "):
            return f"status {code} without one paragraph\n{err[-800:]}"
        if len(text) > limit or (not box and not usage and len(words) > 12):
            return f"{len(text)} characters, {len(words)} lines\n{err[:800]}"
    elif words and code == 0:
        return f"status 0, but said on stderr\n{err[-800:]}"
    return None
