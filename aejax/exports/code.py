"""Files of the user's own that a model is made of: an objective, a network.

An export names them and has their SHA-256, not their text: who loads it has them too,
and says that they may run.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from aejax import config as configs
from aejax import registry
from aejax.registry import guard

KINDS = ("objective", "network")


def files(config: Mapping[str, Any]) -> dict[str, str]:
    """{kind: name} of those that a configuration in JSON's types names."""
    names = {kind: config.get(kind) for kind in KINDS}
    words = {kind: name for kind, name in names.items() if isinstance(name, str)}
    return {kind: name for kind, name in words.items() if registry.is_path(name)}


def digests(config: Mapping[str, Any], known: Mapping[str, str | None]) -> dict:
    """{kind: SHA-256} of them.

    Args:
      known: its first digits, where a run has them of the file it was trained with.

    Raises:
      InputError: a file is another one by now.
    """
    named = files(config)
    hashed = {kind: _digest(kind, name) for kind, name in named.items()}
    for kind, digest in hashed.items():
        if not digest.startswith(known.get(kind) or ""):
            raise configs.InputError(
                f"{kind} file '{named[kind]}' is not the one that this model was "
                "trained with; export it beside that"
            )
    return hashed


def check(config: Mapping[str, Any], known: Any, allowed: bool, where: Any) -> None:
    """Whether the files that an export needs are there, and may run.

    Raises:
      InputError: nobody has ``allowed`` it; one is missing, or another than was known.
    """
    named = files(config)
    if named and not allowed:
        raise configs.InputError(
            f"'{where}' runs code that is not aejax's: {configs.listed(named.values())}"
            "; read it, and say aejax.load(DIR, own_code=True), whose .export(…) also "
            "writes other formats"
        )
    known = known if isinstance(known, Mapping) else {}
    for kind, name in named.items():
        if not guard.path_of(name).is_file():
            missing = f"{guard.path_of(name)} does not exist"
        elif _digest(kind, name) != known.get(kind):
            missing = f"{guard.path_of(name)} is another one"
        else:
            continue
        raise configs.InputError(
            f"'{where}': this export needs the file '{name}' it was trained with as "
            f"its {kind}; {missing}"
        )


def _digest(kind: str, name: str) -> str:
    try:
        return hashlib.sha256(guard.path_of(name).read_bytes()).hexdigest()
    except OSError as error:
        raise configs.InputError(f"{kind} file '{name}': {error}") from error
