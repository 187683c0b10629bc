"""What a trained model is measured by, beside its own loss.

``metrics`` of arrays, the baseline ``pca``, ``likelihood`` by importance sampling,
``ex_post`` densities of codes, ``disentanglement`` of codes. Names are imported when
they are first used: metrics are of use without jax.
"""

import importlib
from typing import Any

_PUBLIC = {
    "metrics": "bits_per_dim error example_psnr interval psnr rounded ssim truncate",
    "pca": "pca_mse",
    "likelihood": "Likelihood is_likelihood log_likelihood streamed",
    "ex_post": "",
    "disentanglement": "",
}
_WHERE = {name: module for module in _PUBLIC for name in _PUBLIC[module].split()}

__all__ = sorted((*_WHERE, *_PUBLIC))


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'aejax.evaluate' has no attribute '{name}'")
    module = importlib.import_module(f"{__name__}.{_WHERE.get(name, name)}")
    return getattr(module, name) if name in _WHERE else module


def __dir__() -> list[str]:
    return [*globals(), *__all__]
