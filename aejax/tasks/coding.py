"""Codes as files: a uniform quantiser, interleaved rANS; and what others take.

Duda, arXiv:1311.2540, 2013; Giesen, Interleaved entropy coders, arXiv:1402.3392, 2014.
"""

import io
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from aejax import autoencoder, config, losses, objectives, settings, tasks

ONE = ", one file"  # of all images, where others have one of each
_BITS = 14  # frequencies are out of 2^14, states from 2^16 to 2^32, words of 16 bits
_STREAM = 2048  # symbols of one of the interleaved streams; each wastes some 3 bytes
# constriction's coder (0.5) was measured: ½ % shorter, which is those 3 bytes, and ten
# times as fast, of 0.1 s. But its tables are floats that it rounds itself; ours are
# integers in a file that any reader has.


class Coder(NamedTuple):
    """Quantiser and tables of codes (N, k): what a reader of files needs.

    Attributes:
      centre: (k,) the integer q stands for centre + q * step.
      step: of all dimensions: PCA's best, and a VAE's unused ones then cost nothing.
      low: (k,) integer of each dimension's first symbol. The last symbol is the escape.
      ends: (k, L + 1) cumulative frequencies of L symbols, from 0 to 2^14.
    """

    centre: np.ndarray
    step: np.float32
    low: np.ndarray
    ends: np.ndarray

    def quantise(self, z: np.ndarray) -> np.ndarray:
        """Integers (N, k) of codes; InputError if they are not finite, or huge."""
        q = np.rint((np.asarray(z, np.float32) - self.centre) / self.step)
        if not (np.abs(q) < 2**31).all():
            raise config.InputError("these codes are not finite, or the step too small")
        return q.astype(np.int64)

    def dequantise(self, q: np.ndarray) -> np.ndarray:
        """Codes (N, k) of integers, within step / 2 of those they were made of."""
        return (self.centre + q * self.step).astype(np.float32)

    def symbols(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Symbols (N, k), and where they are the escape."""
        s, escape = q - self.low, self.ends.shape[1] - 2
        outside = (s < 0) | (s >= escape)
        return np.where(outside, escape, s), outside


def fit(z: np.ndarray, step: float) -> Coder:
    """The coder of training codes z (n, k); step is relative to their rms spread."""
    size = np.float32(step * np.sqrt(z.var(0).mean()) or 1.0)
    none = np.zeros((1, 2), np.int64)
    coder = Coder(z.mean(0, dtype=np.float32), size, none[:, 0], none)
    # Symbols of an eighth of the frequencies: what is rare keeps one, and bits.
    q, limit = coder.quantise(z), 1 << _BITS - 3
    low, high = q.min(0).clip(-limit), q.max(0).clip(max=limit)
    count = int((high - low).max()) + 2
    coder = coder._replace(low=low, ends=np.zeros((1, count + 1), np.int64))
    each = [np.bincount(s, minlength=count) for s in coder.symbols(q)[0].T]
    share = np.stack(each) + 0.1  # what was never seen may come
    share /= share.sum(1, keepdims=True)
    width = 1 + (share * (2**_BITS - count)).astype(np.int64)
    # What rounding left over goes to the most frequent.
    width[np.arange(len(width)), width.argmax(1)] += 2**_BITS - width.sum(1)
    return coder._replace(ends=np.pad(width.cumsum(1), ((0, 0), (1, 0))))


def encode(coder: Coder, q: np.ndarray) -> bytes:
    """The file of integers q (N, k): N, states, 16-bit words, escaped integers."""
    s, outside = coder.symbols(q)
    dims = np.arange(q.shape[1])[None]
    start, end = coder.ends[dims, s].ravel(), coder.ends[dims, s + 1].ravel()
    streams, words = 1 + s.size // _STREAM, [np.zeros(0, np.int64)]
    state = np.full(streams, 1 << 16)
    for i in range(
        (s.size - 1) // streams * streams, -1, -streams
    ):  # the last one first
        low = start[i : i + streams]
        width, x = end[i : i + streams] - low, state[: len(low)]
        full = x >= width << 32 - _BITS
        words.append((x[full] & 0xFFFF)[::-1])
        x[full] >>= 16
        x[:] = (x // width << _BITS) + x % width + low
    head = np.array([len(q), *state], "<u4").tobytes()
    stream = np.concatenate(words)[::-1].astype("<u2").tobytes()
    return head + stream + q[outside].astype("<i4").tobytes()


def decode(coder: Coder, file: bytes) -> np.ndarray:
    """The integers (N, k) that ``encode`` was given, exactly."""
    k, widths = len(coder.low), np.diff(coder.ends)
    size = int.from_bytes(file[:4], "little") * k
    streams, place = 1 + size // _STREAM, 0
    table = np.repeat(np.tile(np.arange(widths.shape[1]), k), widths.ravel())
    table = table.reshape(k, -1)  # (k, 2^14): the symbol of each slot
    state = np.frombuffer(file, "<u4", streams, 4).astype(np.int64)
    words = np.frombuffer(file, "<u2", offset=4 + 4 * streams).astype(np.int64)
    s, dims = np.empty(size, np.int64), np.arange(size) % k
    for i in range(0, size, streams):
        d = dims[i : i + streams]
        x = state[: len(d)]
        slot = x & (1 << _BITS) - 1
        s[i : i + streams] = symbol = table[d, slot]
        x[:] = widths[d, symbol] * (x >> _BITS) + slot - coder.ends[d, symbol]
        few = x < 1 << 16
        some = words[place : place + np.count_nonzero(few)]
        x[few] = x[few] << 16 | some
        place += len(some)
    s = s.reshape(-1, k)
    q, outside = s + coder.low, s == widths.shape[1] - 1
    q[outside] = np.frombuffer(file, "<i4", offset=len(file) - 4 * outside.sum())
    return q


def bits_back(
    model: autoencoder.Autoencoder, x: Any, y: Any = None, *, levels: int, seed: int = 0
) -> np.ndarray:
    """Net rate of lossless bits-back coding, (N,) bits: -ELBO / ln 2, one draw of z.

    log2 q(z|x) - log2 p(z) - log2 P(x|z), where x has levels 0, 1/(levels - 1), …, 1
    and P is the model's likelihood if that is categorical, else its density divided by
    its sum over the levels, element by element. Net: a chain of images gets back the
    bits that its first one borrows (Townsend, Bird & Barber, ICLR 2019, section 2.2).
    """
    bare, values = model.model, jnp.arange(levels) / max(levels - 1, 1)

    def element_nll(x, decoded):
        density = bare.likelihood.element_nll(x, decoded)
        if bare.likelihood.outputs > 1:
            return density

        def add(i, total):
            level = bare.likelihood.element_nll(jnp.full_like(x, values[i]), decoded)
            return jnp.logaddexp(total, -level)

        total = jax.lax.fori_loop(0, levels, add, jnp.full_like(density, -jnp.inf))
        return density + total

    def log_weight(params, batch, key):
        mu, logvar = bare.encode(params, batch)
        z = bare.sample(key, mu, logvar)
        left = exact.nll(batch, bare.decode(params, z, batch))
        return losses.log_weight(left, z, mu, logvar)

    exact = bare.likelihood._replace(element_nll=element_nll)
    whole = bare._replace(likelihood=exact, log_weight=log_weight)
    objective = objectives.OBJECTIVES[model.config.objective]

    @jax.jit
    def run(key, params, batch):
        with settings.matmul_precision(model.config.precision):
            return -objective.log_weight(whole, params, batch, key, **model.hparams)

    def first(start):
        return jax.random.fold_in(jax.random.key(seed), start), model.params

    nats = autoencoder.in_batches(run, model.batch(x, y), extra=first, limit=64)
    return nats / math.log(2)


def images(x: np.ndarray, kind: str, one: bool = False, **options: Any):
    """Bytes that uint8 images (N, H, W, C) take as Pillow's files, and what is read.

    ``one``: a single file of all of them beside and below each other. InputError: C is
    neither 1 nor 3.
    """
    from PIL import Image

    n, h, w, c = x.shape
    if c not in (1, 3):
        raise config.InputError(f"image files have 1 or 3 channels, these have {c}")
    side, whole, decoded, size = math.isqrt(n - 1) + 1, x, [], 0
    if one:
        whole = np.pad(x, ((0, side**2 - n), (0, 0), (0, 0), (0, 0)))
        whole = whole.reshape(side, side, h, w, c).swapaxes(1, 2)
        whole = whole.reshape(1, side * h, side * w, c)
    for image in whole[..., 0] if c == 1 else whole:
        Image.fromarray(image).save(buffer := io.BytesIO(), kind, **options)
        size += buffer.tell()
        mode = "L" if c == 1 else "RGB"
        decoded.append(np.asarray(Image.open(buffer).convert(mode)))
    read = np.stack(decoded)
    if one:
        read = read.reshape(side, h, side, w, c).swapaxes(1, 2)
    return size, read.reshape(-1, h, w, c)[:n]


def lossless(models: Any, data: Any, limit: int) -> list[tuple[str, float]]:
    """(system, bytes per test image) of what keeps all stored levels; () of floats."""
    test, levels = tasks.held_out(data, "test", limit), round(data.scale) + 1
    if data.test.x.dtype != np.uint8:
        return []
    stored = np.rint(test.x * data.scale).astype(np.uint8)
    rates = [("raw", math.log2(levels) / 8 * stored[0].size)]
    for one in (False, True):
        size, _ = images(stored, "png", one, optimize=True)
        rates.append(("png" + ONE * one, size / len(stored)))
    for name, model in tasks.named(models).items():
        if model.has_likelihood and model.config.binarize == "none":
            bits = bits_back(model, test.x, test.y, levels=levels)
            rates.append((f"{name} bits-back", float(bits.mean()) / 8))
    return rates
