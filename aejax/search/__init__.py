"""Searches for settings: Optuna draws generations that train as populations."""

from aejax.search.goal import Settings
from aejax.search.searcher import search
from aejax.search.space import Range

__all__ = ["Range", "Settings", "search"]
