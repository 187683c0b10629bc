"""What this machine has: cores, memory and packages, as far as we may use them."""

import contextlib
import errno
import importlib.metadata
import os
import re
from pathlib import Path


def usable_cores() -> int:
    """CPU cores that this process may use, as many threads as XLA has by default."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory(free: bool = False) -> float:
    """Bytes of host memory that there are at all, or ``free``; infinite if unknown."""
    limits = [float("inf")]
    name = "MemAvailable" if free else "MemTotal"
    with contextlib.suppress(OSError, TypeError):  # no Linux
        meminfo = Path("/proc/meminfo").read_text()
        limits.append(1024 * int(re.search(rf"{name}:\s*(\d+)", meminfo)[1]))
    with contextlib.suppress(OSError, ValueError):  # of a container: may be "max"
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    with contextlib.suppress(ImportError):  # Windows has no such limits
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        limits += [limit] * (limit != resource.RLIM_INFINITY)
    return min(limits)


def is_full(error: BaseException) -> bool:
    """Whether it says that a disk has no room left: libraries say it in words only."""
    words = ("No space left", "quota exceeded", "File too large", "RESOURCE_EXHAUSTED")
    known = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return getattr(error, "errno", 0) in known or any(w in str(error) for w in words)


def version(package: str) -> str:
    """Of an installed package; "uninstalled" of one that is not.

    So is this one where it runs from a copy of the repository, on a machine to which
    nothing can be installed.
    """
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "uninstalled"
