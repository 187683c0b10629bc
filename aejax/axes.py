"""Axes of a sweep: their values on the command line, and every combination of them."""

import itertools
import math
import random
from collections.abc import Mapping
from typing import Any

from aejax import config


def parse(text: str) -> tuple[str, list[Any]]:
    """One ``NAME=VALUES`` of the command line as a name and its values.

    VALUES is ``v1,v2,…``; ``log:low:high:count`` (geometric, ends included);
    ``linear:low:high:count``; or ``random:low:high:count``, log-uniform draws that
    depend on NAME alone, so that the same text always means the same values.

    Raises:
      config.InputError: the text is not of one of these forms.
    """
    name, _, values = text.partition("=")
    name, values = name.strip().replace("-", "_"), values.strip()
    malformed = config.InputError(
        f"--axis '{text}' is not of the form NAME=V1,V2 or NAME=log:LOW:HIGH:COUNT "
        "(also linear:, random:)"
    )
    if not name or not values:
        raise malformed
    rule, _, rest = values.partition(":")
    if rule in ("log", "linear", "random"):
        try:
            low, high, count = rest.split(":")
            low, high, count = float(low), float(high), int(count)
        except ValueError:
            raise malformed from None
        limit = config.LONGEST
        if not (-math.inf < low < high < math.inf and 0 < count <= limit):
            raise config.InputError(
                f"--axis '{text}': LOW < HIGH is needed, and COUNT of 1 … {limit:,}"
            )
        if rule != "linear" and low <= 0:
            raise config.InputError(
                f"--axis '{text}': a logarithmic axis starts above 0"
            )
        if rule == "random":
            rng = random.Random(name)
            logs = [rng.uniform(math.log(low), math.log(high)) for _ in range(count)]
            return name, [float(f"{math.exp(v):.6g}") for v in logs]
        shares = [i / max(count - 1, 1) for i in range(count)]
        if rule == "linear":
            return name, [float(f"{low + (high - low) * t:.12g}") for t in shares]
        return name, [float(f"{low * (high / low) ** t:.12g}") for t in shares]
    if name == "hidden":  # commas belong to the widths: hidden=512,256;128
        try:
            return name, [tuple(map(int, v.split(","))) for v in values.split(";")]
        except ValueError:
            raise config.InputError(
                f"--axis '{text}': commas join the widths of one network, semicolons "
                "part networks: hidden=512,256;128"
            ) from None
    parts = [v.strip() for v in values.split(",")]
    if "" in parts:
        raise config.InputError(f"--axis '{text}' has an empty value")
    return name, [config.parse_value(v) for v in parts]


def product(axes: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Every combination of the axes' values, the last axis varying fastest."""
    names = list(axes)
    return [dict(zip(names, v, strict=True)) for v in itertools.product(*axes.values())]
