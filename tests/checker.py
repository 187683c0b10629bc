"""beartype's check of a signature, generated once for all functions that share it.

Models and likelihoods are made of closures, which are defined anew whenever one is
built: generating their checks again was a third of what tracing takes here. What
jaxtyping has checked are no functions of ours, but empty ones of their signatures, so
that equal signatures are equal checks.
"""

import inspect
import typing

import beartype

_MADE = {}


def _facts(hint):
    """What a hint says: jaxtyping makes a new class for each that is written down."""
    if parts := typing.get_args(hint):
        return typing.get_origin(hint), *map(_facts, parts)
    if hasattr(hint, "dim_str"):
        return hint.__name__, str(hint.dtypes), hint.array_type, hint.dim_str
    return str(hint) if isinstance(hint, list) else hint  # of a Callable's arguments


def once(function):
    """``beartype.beartype``."""
    signature = inspect.signature(function)
    facts = [
        (p.name, p.kind, p.default is p.empty, _facts(p.annotation))
        for p in signature.parameters.values()
    ]
    name = function.__module__, function.__qualname__, function.__code__.co_code
    key = *name, *facts, _facts(signature.return_annotation)
    if key not in _MADE:
        _MADE[key] = beartype.beartype(function)
    return _MADE[key]
