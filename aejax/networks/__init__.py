"""Networks: the only package that imports flax. A new one is one file here.

Such a file has a ``build(spec, *, option=default, …) -> Network`` and may have
``needs`` (see objectives), ``reads_missing = True`` where its encoder knows what to do
of NaN if ``spec.missing``, and ``check(spec, *, …)``, which returns the reason why such
a network cannot be, or None. Keyword-only parameters are its options, swept like
hyperparameters; each changes the program. A Network is pure functions; z enters it only
through ``latent.LatentIn`` and leaves it only through ``latent.LatentOut``. Names of
parameters whose leading axis is the latent one start with ``latent_``; no other
parameter's shape depends on Z. Top-level names of the decoder's start with ``decode``.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from aejax import config, registry


class NetworkSpec(NamedTuple):
    """What a network is built from; all static.

    Attributes:
      shape: S, of one example.
      outputs: natural parameters per data element; above 1 only for categorical data,
        whose x is a level 0 … outputs - 1 divided by outputs - 1.
      latent_dim: Z, the allocated width.
      heads: arrays (B, Z) the encoder gives.
      inputs: arrays (B, Z) the decoder takes.
      hidden: widths or channels.
      activation: name of the nonlinearity.
      init: "lecun" or "glorot".
      dtype: of the computation; parameters are float32 always.
      num_classes: > 0 for a network conditional on batch.y.
      mean: decoded (…, outputs) -> E[x] (…), for a decoder that reads its own output.
      captions: y is (B, L) ids of words, 0 being none, and not (B,) ids of classes.
      missing: whether NaN in x means a value that was not observed.
    """

    shape: tuple[int, ...]
    outputs: int
    latent_dim: int
    heads: int
    inputs: int
    hidden: tuple[int, ...]
    activation: str
    init: str
    dtype: Any
    num_classes: int = 0
    mean: Callable | None = None
    captions: bool = False
    missing: bool = False

    @property
    def condition(self) -> int:
        """Width of what ``dense.Condition`` gives."""
        return 64 if self.captions else self.num_classes


def _decoder(params: Mapping[str, Any]) -> dict[str, Any]:
    return {n: w for n, w in params.items() if n.startswith("decode")}


class Network(NamedTuple):
    """Pure functions over a parameter tree; ``mask`` is (1, Z).

    They are given the model's tree, which holds ``output_bias`` beside their own.

    Attributes:
      init: (key, batch, mask) -> params.
      encode: (params, batch, mask) -> (B, Z), or a tuple of ``heads`` of them, masked.
      decode: (params, z, batch, mask) -> (B, *S, outputs), without the output bias;
        z is (B, Z) or a tuple of ``inputs`` of them; batch may be None.
      bias_shape: of the output bias, broadcast against (*S, outputs). The model adds
        it, so that it can start at the training mean.
      stages: ((encode_i, decode_i), …) outermost first, the same parameters: encode_i
        (params, h, mask) -> h', decode_i (params, h', mask) -> h; () if there are none.
      decoder: params -> those that the decoder uses, as a tree.
    """

    init: Callable
    encode: Callable
    decode: Callable
    bias_shape: tuple[int, ...]
    stages: tuple = ()
    decoder: Callable = _decoder


class Entry(NamedTuple):
    """A network file's public names."""

    build: Callable[..., Network]
    check: Callable[..., str | None] = lambda spec, **options: None
    needs: frozenset = frozenset()
    reads_missing: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """The options and their defaults: the keyword-only parameters of build."""
        return registry.keywords(self.build)


def _entry(module: Any) -> Entry:
    if not callable(getattr(module, "build", None)):
        raise config.InputError("it has no function build(spec)")
    entry = Entry(
        **{n: getattr(module, n) for n in Entry._fields if hasattr(module, n)}
    )
    for name, default in entry.options.items():
        if name in config.FIELDS:
            raise config.InputError(f"option {name} of build is a field of Config")
        config.check_value(name, default, default, (-math.inf, math.inf))
    return entry


NETWORKS = registry.Files(
    "network", __name__, __path__[0], _entry, skip=("latent", "dense")
)
