"""Networks: the only package that imports flax. A new one is one file here.

Such a file has a ``build(spec) -> Network`` and may have ``needs`` (see objectives)
and ``check(spec)``, which returns the reason why a network of that spec cannot be, or
None. A Network is pure functions; z enters it only through ``latent.LatentIn`` and
leaves it only through ``latent.LatentOut``. Names of parameters whose leading axis is
the latent one start with ``latent_``; no other parameter's shape depends on Z.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from aejax import config, registry


class Spec(NamedTuple):
    """What a network is built from; all static.

    Attributes:
      shape: S, of one example.
      outputs: natural parameters per data element.
      latent_dim: Z, the allocated width.
      heads: arrays (B, Z) the encoder gives.
      inputs: arrays (B, Z) the decoder takes.
      hidden: widths or channels.
      activation: name of the nonlinearity.
      init: "lecun" or "glorot".
      dtype: of the computation; parameters are float32 always.
      num_classes: > 0 for a network conditional on batch.y.
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


class Network(NamedTuple):
    """Pure functions over a parameter tree; ``mask`` is (1, Z).

    Attributes:
      init: (key, batch, mask) -> params.
      encode: (params, batch, mask) -> (B, Z), or a tuple of ``heads`` of them, masked.
      decode: (params, z, batch, mask) -> (B, *S, outputs), without the output bias;
        z is (B, Z) or a tuple of ``inputs`` of them; batch may be None.
      bias_shape: of the output bias, broadcast against (*S, outputs). The model adds
        it, so that it can start at the training mean.
      stages: ((encode_i, decode_i), …) outermost first, the same parameters: encode_i
        (params, h, mask) -> h', decode_i (params, h', mask) -> h; () if there are none.
    """

    init: Callable
    encode: Callable
    decode: Callable
    bias_shape: tuple[int, ...]
    stages: tuple = ()


class Entry(NamedTuple):
    """A network file's public names."""

    build: Callable[[Spec], Network]
    check: Callable[[Spec], str | None] = lambda spec: None
    needs: frozenset = frozenset()


def _entry(module: Any) -> Entry:
    if not callable(getattr(module, "build", None)):
        raise config.InputError(
            f"network file '{module.__file__}' has no function build(spec)"
        )
    return Entry(**{n: getattr(module, n) for n in Entry._fields if hasattr(module, n)})


NETWORKS = registry.Files(
    "network", __name__, __path__[0], _entry, skip=("latent", "dense")
)
