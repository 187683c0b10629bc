"""ONNX files give what the model gives, for any number of rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aejax
from aejax import likelihoods
from aejax.exports import functions

pytest.importorskip("onnx", reason='pip install "aejax[onnx]"')
onnxruntime = pytest.importorskip("onnxruntime", reason='pip install "aejax[onnx]"')

from aejax.exports import onnx as writer  # noqa: E402

close = dict(rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["dense", "vq_vae", "conv", "series", "labelled"])
def test_onnxruntime_computes_the_same(kind, model_of, inputs, by_card, tmp_path):
    model = model_of(kind)
    given = inputs(model)
    out = by_card(model.export(tmp_path / "out", "onnx"), given)
    y = given["y"] if model.spec.model.network_spec.num_classes else None
    z = model.encode(given["x"], y, given["length"] if kind == "series" else None)
    names = [n for n in sorted(out) if n[:1] == "z"]
    for got, want in zip((out[n] for n in names), jax.tree.leaves(z), strict=True):
        np.testing.assert_allclose(got, want, **close)
    np.testing.assert_allclose(out["x_hat"], model.decode(z, y), **close)


def ran(call, *arrays):
    """What onnxruntime makes of a function: of two numbers of rows."""
    inputs = {f"a{i}": (str(a.dtype), a.shape[1:]) for i, a in enumerate(arrays)}
    model = writer.translated(functions.Function(call, inputs, ("out",)), "f")
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for rows in (2, len(arrays[0])):
        given = [a[:rows] for a in arrays]
        (got,) = session.run(None, dict(zip(inputs, given, strict=True)))
        want = np.asarray(call(*map(jnp.asarray, given)))
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, **close)


MIXED = likelihoods.observed("mixed", kinds=(("number", 1), ("category", 3)))
TABLE = np.arange(12, dtype=np.float32).reshape(4, 3)
OPERATIONS = {
    "sums": lambda x: x.sum((1, 2)) + x.max((1, 2)) * x.min((1, 2)) + x.prod((1, 2)),
    "chosen": lambda x: jnp.where(x > 0.2, x, -x).clip(-0.5, 0.7),
    "rounded": lambda x: jnp.round(7 * x) + jnp.floor(x) - jnp.ceil(x) + jnp.sign(x),
    "smooth": lambda x: jnp.log1p(jnp.exp(x)) + jnp.expm1(x) + jax.lax.erf(x) + x**3,
    "roots": lambda x: jax.lax.rsqrt(x * x + 1) + jnp.sqrt(jnp.abs(x)) + jnp.cos(x),
    "turned": lambda x: jnp.flip(x, 1)[:, :, 1::2].swapaxes(1, 2)[:, 0],
    "padded": lambda x: jnp.pad(x, ((0, 0), (1, 2), (0, 1)), constant_values=2.0),
    "stacked": lambda x: jnp.stack(jnp.split(x, 2, 2), 1),
    "joined": lambda x: jnp.concatenate([x, jnp.zeros_like(x[:, :1])], 1),
    "products": lambda x: jnp.einsum("nij,nkj->nik", x, x) + x @ TABLE[:, :1],
    "ranks": lambda x: jnp.argsort(jnp.argsort(-x, -1), -1),
    "largest": lambda x: jax.lax.top_k(x, 2)[0] * jnp.argmax(x, 2)[..., None],
    "rows": lambda x: jnp.asarray(TABLE)[jnp.argmin(x, -1)],
    "columns": lambda x: jnp.asarray(TABLE)[:, jnp.argmin(x[:, 0], -1) % 3].T,
    "each one's": lambda x: x[jnp.arange(x.shape[0]), jnp.argmax(x[:, :, 0], -1)],
    "of the mean": lambda x: x - x.mean((0, 1))[None, None],
    "normed": lambda x: jax.nn.softmax(x) + jax.nn.softplus(x) + jax.nn.gelu(x),
    "logic": lambda x: 1.0 * ((x > 0) & (x < 0.5) | ~(x != x) & jnp.isfinite(x)),
    "any": lambda x: 1.0 * ((x > 0.4).any(1) & (x > -2).all(1)),
    "cumulated": lambda x: jnp.cumsum(x, 1),
    "merged": lambda x: (
        (x.reshape(-1, 4) + jnp.ones((3 * x.shape[0], 1))).sum(1).reshape(-1, 3)
    ),
    "a multiple": lambda x: (
        (jnp.ones((6 * x.shape[0], 1)) @ x[:1, 0]).reshape(-1, 24) + 0 * x[:, 0, :1]
    ),
    "a table's mean": lambda x: MIXED.mean(x.swapaxes(1, 2)[..., :1]),
    "scanned": lambda x: jax.lax.scan(
        lambda c, a: (0.5 * c + a, c * a), x[:, 0], x.swapaxes(0, 1), reverse=True
    )[1].swapaxes(0, 1),
    "looped": lambda x: jax.lax.scan(lambda c, _: (0.5 * c + x, c[:, 0]), x, length=3)[
        1
    ].swapaxes(0, 1),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operators_mean_what_primitives_mean(name):
    x = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32)
    x[0, 0] = [0.5, 0.5, -0.5, 1.5]  # ties, and halves
    ran(OPERATIONS[name], x)


def test_what_has_no_operator_is_refused_by_name(model_of, tmp_path, monkeypatch):
    real = functions.of

    def strange(parts):
        encode = real(parts)["encode"]
        call = lambda x: jax.lax.lgamma(x)  # noqa: E731
        return real(parts) | {"encode": encode._replace(call=call)}

    monkeypatch.setattr(functions, "of", strange)
    with pytest.raises(
        aejax.InputError, match="encode of vae.* jax's lgamma.*stablehlo"
    ):
        model_of("dense").export(tmp_path / "out", "onnx")
    assert list(tmp_path.iterdir()) == []


def test_products_of_bfloat16_are_refused(small, tmp_path):
    brief = dict(epochs=1, eval_every=1, batch_size=64, hidden=(8,))
    run = small("ae", precision="bf16", **brief)
    with pytest.raises(aejax.InputError, match="bfloat16.*--precision float32"):
        run.export(tmp_path / "out", "onnx")
    run.export(tmp_path / "out", "stablehlo")


def test_bits_of_whole_numbers_are_refused():
    with pytest.raises(aejax.InputError, match="not of whole numbers"):
        ran(lambda x: ~x.astype(jnp.int32), np.ones((3, 2), np.float32))
