"""Arrays read by NumPy and by safetensors alone; models again from any format."""

import pathlib
import re
import sys

import jax
import numpy as np
import pytest

import aejax
from aejax import config, exports
from aejax.exports import functions, npz, safetensors
from aejax.networks import latent

README = pathlib.Path(exports.__file__).parent / "README.md"
close = dict(rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def reader():
    """What the README's reader defines."""
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
    assert set(re.findall(r"^(?:import|from) (\w+)", code, re.M)) == {
        "json",
        "pathlib",
        "numpy",
    }
    names = {}
    exec(compile(code, str(README), "exec"), names)
    return names


@pytest.mark.parametrize("hidden", [(16,), (8, 6), ()])
def test_the_readmes_reader_computes_the_same(
    reader, run, small, digits, tmp_path, hidden
):
    """Of a mean and of plain codes, of several depths."""
    brief = dict(epochs=1, eval_every=1, latent_dim=3, batch_size=64)
    if hidden == (16,):
        model = run.model(objective="vae", latent_dim=5)
    else:
        more = {"activation": "elu"} if hidden else {"likelihood": "gaussian"}
        model = small("ae", hidden=hidden, **more, **brief).model()
    encode, decode = reader["read"](model.export(tmp_path / "out"))
    x = digits.test.x[:9] / np.float32(digits.scale)
    z = model.encode(x)
    np.testing.assert_allclose(encode(x), z, **close)
    np.testing.assert_allclose(decode(z), model.decode(z), **close)


KINDS = [("objective", name) for name in aejax.OBJECTIVES]
KINDS += [("likelihood", n) for n in config.CHOICES["likelihood"] if n != "mixed"]


@pytest.mark.filterwarnings("ignore:.*cannot sample")
@pytest.mark.parametrize(("field", "name"), KINDS)
def test_the_reader_refuses_or_is_right(reader, untrained, tmp_path, field, name):
    folder = exports.write(untrained(**{field: name}), tmp_path / "out")
    plain = "needs NumPy alone" in (folder / "README.md").read_text()
    known = {*reader["OBJECTIVES"], *reader["LIKELIHOODS"], "auto"}
    assert plain == (name in known)
    if not plain:
        with pytest.raises(AssertionError):
            reader["read"](folder)
        return
    encode, decode = reader["read"](folder)
    known = functions.of(exports.read(folder))
    rng = np.random.default_rng(1)
    x, z = rng.random((3, 8, 8, 1)), rng.normal(size=(3, 4))
    x, z = np.float32(x), np.float32(z)
    loose = dict(rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(encode(x), known["encode"].call(x), **loose)
    np.testing.assert_allclose(decode(z), known["decode"].call(z), **loose)


def test_the_reader_and_the_card_know_the_same(reader):
    assert reader["OBJECTIVES"] == npz.OBJECTIVES
    assert reader["LIKELIHOODS"] == npz.LIKELIHOODS


def test_the_reader_refuses_what_it_has_not(reader, untrained, tmp_path):
    model = untrained(objective="vamp_vae", activation="gelu")
    with pytest.raises(AssertionError):
        reader["read"](exports.write(model, tmp_path / "out"))


def test_the_readers_activations_are_the_networks(reader):
    h = np.linspace(-9, 9, 33, dtype=np.float32)
    for name, act in reader["ACTIVATIONS"].items():
        np.testing.assert_allclose(act(h), latent.ACTIVATIONS[name](h), **close)
    assert set(latent.ACTIVATIONS) - set(reader["ACTIVATIONS"]) == {"gelu"}


def test_safetensors_alone_reads_the_same_arrays(model_of, tmp_path):
    load_file = pytest.importorskip(
        "safetensors.numpy", reason='pip install "aejax[safetensors]"'
    ).load_file
    model = model_of("ae")
    plain = np.load(model.export(tmp_path / "npz") / "params.npz")
    folder = model.export(tmp_path / "out", "safetensors")
    arrays = load_file(folder / "params.safetensors")
    assert set(arrays) == set(plain) and "density/means" in arrays
    for name, array in arrays.items():
        assert array.shape == plain[name].shape and array.dtype == plain[name].dtype
        np.testing.assert_array_equal(array, plain[name])


def test_safetensors_has_arrays_as_they_are_read(tmp_path):
    """It writes memory as it lies, which of a transposed array is another one's."""
    pytest.importorskip("safetensors", reason='pip install "aejax[safetensors]"')
    arrays = {"turned": np.arange(6.0).reshape(2, 3).T, "scalar": np.float64(3)}
    safetensors.write(None, arrays, tmp_path)
    for name, array in safetensors.load(tmp_path).items():
        np.testing.assert_array_equal(array, arrays[name])


@pytest.mark.parametrize("format", exports.FORMATS)
def test_any_format_is_a_model_again(format, model_of, inputs, tmp_path):
    for package in {"safetensors": ["safetensors"], "onnx": ["onnx"]}.get(format, ()):
        pytest.importorskip(package, reason=f'pip install "aejax[{format}]"')
    model = model_of("ae")
    after = aejax.load(model.export(tmp_path / "out", format))
    x, key = inputs(model)["x"], jax.random.key(1)
    np.testing.assert_allclose(after.encode(x), model.encode(x), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(after.sample(key, 3), model.sample(key, 3), **close)
    again = after.export(tmp_path / "again", "npz")  # and in another format
    assert aejax.load(again).config == model.config


def test_what_only_writing_needs_is_not_needed(model_of, tmp_path, monkeypatch):
    """An export of ONNX has its arrays as an npz."""
    pytest.importorskip("onnx", reason='pip install "aejax[onnx]"')
    folder = model_of("dense").export(tmp_path / "out", "onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert aejax.load(folder).latent_dim == 2
