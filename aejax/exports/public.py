"""What an export says of the user's files: what they are called, not where they lie."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

from aejax import registry
from aejax.exports import code

# What a word begins with, or a value in it: a path from the root, a home or above.
_PLACE = re.compile(r"(^|[=,]|://)(?:~[^/,=@]*|\.\.)?/(?:[^,=@]*/)?")


def facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of a model, see ``arrays.facts``, fit for others.

    A data set is called what rows call it, for nothing is loaded from it; an objective
    or network file stays what it is relative to the folder of who trained, or is taken
    to lie there.
    """
    config, data = facts["config"], facts["data"]
    label = _dataset(config["dataset"])
    changes = files(code.files(config))
    # With all that is asked of it, and alone.
    dataset, alone = config["dataset"], config["dataset"].partition("@")[0]
    notes = [note.replace(dataset, label) for note in data["notes"]]
    notes = [note.replace(alone, _dataset(alone)) for note in notes]
    origin = dict(facts["origin"])
    if origin.get("command"):
        origin["command"] = _command(origin["command"])
    return {
        **facts,
        "config": config | {"dataset": label} | changes,
        "data": data | {"name": _dataset(data["name"]), "notes": notes},
        "origin": origin,
    }


def _dataset(name: str) -> str:
    return _without_place(registry.label(name))


def files(named: Mapping[str, str]) -> dict[str, str]:
    """{kind: what an export calls it} of ``code.files``."""
    return {kind: _without_place(name) for kind, name in named.items()}


def _without_place(word: str) -> str:
    return _PLACE.sub(r"\1", word.rstrip("/")) or word


def _command(text: str) -> str:
    try:
        words = shlex.split(text)
    except ValueError:  # what somebody wrote by hand
        words = text.split()
    after = [_without_place(word) for word in words]
    return text if after == words else shlex.join(after)
