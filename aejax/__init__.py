"""Populations of autoencoders in JAX. Names are imported when they are first used."""

import importlib
from typing import Any

_WHERE = {
    "Batch": "model",
    "Config": "config",
    "Halving": "runs.halving",
    "InputError": "config",
    "NETWORKS": "networks",
    "OBJECTIVES": "objectives",
    "load": "autoencoder",
    "open_run": "runs.run",
    "Progress": "progress",
    "TASKS": "tasks",
    "sweep": "runs.sweep",
}

# Modules that are of use by themselves.
_MODULES = ("corruptions", "data", "estimators", "evaluate", "likelihoods", "losses")
_MODULES += ("report", "search", "tracking")

__all__ = sorted((*_WHERE, *_MODULES))


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"aejax.{name}")
    if name not in _WHERE:
        raise AttributeError(f"module 'aejax' has no attribute '{name}'")
    return getattr(importlib.import_module(f"aejax.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
