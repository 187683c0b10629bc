"""Exported functions in a process with jax alone, by the code on the model card."""

import jax
import numpy as np
import pytest

import aejax
from aejax.exports import functions, stablehlo

close = dict(rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["dense", "vq_vae", "conv", "series", "labelled"])
def test_jax_alone_computes_the_same(kind, model_of, inputs, by_card, tmp_path):
    model = model_of(kind)
    given = inputs(model)
    out = by_card(model.export(tmp_path / "out", "stablehlo"), given)
    spec = model.spec.model.network_spec
    y = given["y"] if spec.num_classes else None
    length = given["length"] if kind == "series" else None
    z = model.encode(given["x"], y, length)
    names = [n for n in sorted(out) if n[:1] == "z"]
    for got, want in zip((out[n] for n in names), jax.tree.leaves(z), strict=True):
        assert got.shape == (7, model.latent_dim)  # no padding
        np.testing.assert_allclose(got, want, **close)
    np.testing.assert_allclose(out["x_hat"], model.decode(z, y), **close)
    if kind != "conv":  # which has no prior
        for i, seed in enumerate(given["seed"]):
            label = y if y is None else y[i : i + 1]
            (want,) = model.sample(jax.random.key(seed), 1, label)
            np.testing.assert_allclose(out["new"][i], want, **close)


def test_a_file_is_for_three_platforms_and_any_rows(model_of, inputs, tmp_path):
    model = model_of("dense")
    folder = model.export(tmp_path / "out", "stablehlo")
    names = {p.stem for p in folder.glob("*.stablehlo")}
    assert names == {"encode", "decode", "reconstruct", "sample"}
    for name in names:
        file = jax.export.deserialize((folder / f"{name}.stablehlo").read_bytes())
        assert file.platforms == ("cpu", "cuda", "tpu")
        assert str(file.in_avals[0].shape[0]) == "n" == str(file.out_avals[0].shape[0])
    encode = jax.export.deserialize((folder / "encode.stablehlo").read_bytes()).call
    x = inputs(model)["x"]
    for rows in (1, 3):
        np.testing.assert_allclose(encode(x[:rows]), model.encode(x[:rows]), **close)


def test_what_stands_beyond_a_length_is_not_read(model_of, inputs):
    """Not even by a network that takes all steps at once."""
    model = model_of("flat")
    x, length = (inputs(model)[n] for n in ("x", "length"))
    beyond = np.arange(8)[None, :, None] >= length[:, None, None]
    parts = aejax.exports.arrays.parts(*(f(model) for f in FACTS))
    z = functions.of(parts)["encode"].call(np.where(beyond, np.nan, x), length)
    np.testing.assert_allclose(z, model.encode(x, length=length), **close)


def test_without_a_prior_codes_are_of_the_gaussian(model_of):
    model = model_of("ae")
    parts = aejax.exports.arrays.parts(*(f(model) for f in FACTS))
    density = parts.density
    exact = functions.of(parts)["sample"].call
    decode = functions.of(parts)["decode"].call
    mean = (density.means[0] * density.scale).astype(np.float32)
    root = (density.roots[0] * density.scale).astype(np.float32)
    seeds = np.arange(5, dtype=np.uint32)
    noise = [jax.random.normal(jax.random.key(s), mean.shape) for s in seeds]
    z = np.stack([mean + root @ np.asarray(n) for n in noise])
    np.testing.assert_allclose(jax.jit(exact)(seeds), decode(z), rtol=1e-5, atol=1e-5)
    assert "sample" not in functions.of(parts._replace(density=None))


FACTS = (aejax.exports.arrays.facts, aejax.exports.arrays.arrays)


def test_what_depends_on_the_rows_is_refused(model_of, tmp_path, monkeypatch):
    model = model_of("dense")
    real = functions.of

    def counted(parts):
        known = real(parts)
        encode = known["encode"]
        return {"encode": encode._replace(call=lambda x: x * len(range(x.shape[0])))}

    monkeypatch.setattr(functions, "of", counted)
    with pytest.raises(aejax.InputError, match="encode of vae.*any number of examples"):
        model.export(tmp_path / "out", "stablehlo")
    assert list(tmp_path.iterdir()) == []
    assert stablehlo.PLATFORMS == ("cpu", "cuda", "tpu")


def test_functions_are_of_float32_beside_doubles(untrained, tmp_path):
    """Whoever computes with doubles exports the same functions."""
    model = untrained(objective="vae")
    one = model.export(tmp_path / "one", "stablehlo")
    with jax.enable_x64(True):
        two = model.export(tmp_path / "two", "stablehlo")
    for folder in (one, two):
        data = (folder / "reconstruct.stablehlo").read_bytes()
        file = jax.export.deserialize(bytearray(data))
        assert {str(a.dtype) for a in (*file.in_avals, *file.out_avals)} == {"float32"}
        assert "f64" not in file.mlir_module()
    arrays = [np.load(folder / "params.npz") for folder in (one, two)]
    for name in arrays[0]:
        assert arrays[0][name].dtype == arrays[1][name].dtype == np.float32
    for file in arrays:
        file.close()


@pytest.mark.filterwarnings("ignore:.*cannot sample")
def test_a_cards_table_of_functions_is_one(untrained, tmp_path):
    text = (untrained().export(tmp_path / "out", "stablehlo") / "README.md").read_text()
    assert "\n\n| function | takes | gives |" in text and "seed: uint32" not in text
    again = untrained(objective="vae").export(tmp_path / "vae", "stablehlo")
    text = (again / "README.md").read_text()
    assert "\n\n| function | takes | gives |" in text and "\nseed: uint32" in text
