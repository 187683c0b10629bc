"""jax's settings where programs are made and run, whatever the user's own are."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp


@contextlib.contextmanager
def usual() -> Iterator[None]:
    """jax's defaults.

    Ours rely on them: with ``jax_disable_jit``, strict promotion of types or a guard
    of transfers, which are for the user's code, nothing of this package would run.
    """
    with (
        jax.disable_jit(False),
        jax.numpy_dtype_promotion("standard"),
        jax.transfer_guard("allow"),
    ):
        yield


def matmul_precision(precision: str) -> contextlib.AbstractContextManager:
    """Context under which to trace: GPUs default to TF32 and TPUs to bfloat16.

    ``bf16`` networks cast their own operands; the rest stays float32.
    """
    name = {"tf32": "tensorfloat32"}.get(precision, "float32")
    return jax.default_matmul_precision(name)


def compute_dtype(precision: str) -> Any:
    """Type in which a network multiplies."""
    return jnp.bfloat16 if precision == "bf16" else jnp.float32
