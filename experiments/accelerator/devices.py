"""What there is: devices, their memory, versions, flags."""

import os
import pathlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from aejax import machine
from experiments import environment

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
PACKAGES += ("scikit-learn", "torch", "triton")


def measure(folder: pathlib.Path, tiny: bool) -> Iterator[dict[str, Any]]:
    """jax's row, PyTorch's, and the driver's where nvidia-smi is."""
    devices = environment.start(1, None)
    import jax

    first = devices[0]
    yield {
        "kind": first.device_kind,
        "device": f"{len(devices)} × {first.device_kind}",
        "platform": first.platform,
        "devices": [str(d) for d in devices],
        "platform_version": first.client.platform_version,
        "memory_stats": first.memory_stats() or {},
        "cpu_beside_it": [str(d) for d in jax.devices("cpu")],
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
        "environment": {n: v for n, v in os.environ.items() if n.startswith("XLA_P")},
        "python": platform.python_version(),
        "cores": machine.usable_cores(),
        "versions": {n: machine.version(n) for n in PACKAGES},
    }
    # Apart: two libraries of CUDA in one process can be in each other's way.
    code = "import torch; print(torch.cuda.is_available(), torch.version.cuda)"
    yield {"torch_sees_it": _said([sys.executable, "-c", code])}
    if shutil.which("nvidia-smi"):
        names = "name,driver_version,memory.total,memory.used"
        command = ["nvidia-smi", f"--query-gpu={names}", "--format=csv,noheader"]
        yield {"nvidia_smi": _said(command)}


def _said(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or done.stderr.strip()[-300:]
