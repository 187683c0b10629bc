"""The library and its commands in hands that do not know them."""

import errno
import os
import pathlib
import re
import subprocess
import sys

import jax
import numpy as np
import pytest

import aejax
from aejax import axes, config, data, machine
from aejax.runs import faults, plan
from experiments import environment, sweep

SMALL = dict(hidden=(8,), epochs=1, latent_dim=2)
ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("digits",), "sweep takes a Config, e.g. .* not 'digits'"),
        ((None,), "sweep takes a Config"),
        (({"dataset": "digits"},), "sweep takes a Config"),
        ((aejax.Config(), ["seed"]), "axes must be"),
        ((aejax.Config(), {"seed": 3}), "axes must be"),
        ((aejax.Config(), {"dataset": "digits"}), "axes must be"),
    ],
)
def test_arguments_of_another_kind(arguments, message):
    with pytest.raises(aejax.InputError, match=message):
        aejax.sweep(*arguments)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"planned": []}, "planned holds no population"),
        ({"planned": plan.Plan((), None)}, "planned holds no population"),
        ({"devices": "cpu"}, "devices is 'cpu'; it must be jax devices"),
        ({"devices": 0}, "or how many of these 4"),
        ({"devices": 5}, "or how many of these 4"),
        ({"devices": []}, "devices is "),
        ({"devices": [1]}, "devices is "),
        ({"vmap": 1.5}, "vmap is 1.5; it must be a whole number"),
        ({"vmap": 0}, "vmap is 0"),
        ({"vmap": True}, "vmap is True"),
    ],
)
def test_options_of_another_kind(more, message):
    with pytest.raises(aejax.InputError, match=message):
        aejax.sweep(aejax.Config(**SMALL), **more)


def test_configurations_are_keys(tmp_path):
    one = aejax.Config(objective="vae", hparams={"beta": 2.0, "kl_warmup": 0.5})
    other = aejax.Config(objective="vae", hparams={"kl_warmup": 0.5, "beta": 2.0})
    assert one == other and hash(one) == hash(other) and len({one, other}) == 1
    whole = one.replace(hparams={"beta": 2, "kl_warmup": 0.5})
    assert whole == one and hash(whole) == hash(one)
    assert len({one, one.replace(seed=1), one.replace(hparams={})}) == 3


def test_paths_and_numbers_of_devices_are_taken(tmp_path):
    x = np.random.default_rng(0).random((60, 5), np.float32)
    np.save(path := tmp_path / "mine.npy", x)
    base = dict(SMALL, batch_size=8)
    one = aejax.sweep(aejax.Config(dataset=path, **base), devices=1)
    two = aejax.sweep(aejax.Config(**base), {"dataset": [path]}, devices=2)
    assert one.rows == two.rows and one.config.dataset == str(path)
    assert one.info["device"].startswith("1 ×")


def test_settings_of_the_users_code_are_not_ours(afresh):
    base = aejax.Config(objective="vae", **SMALL)
    plain = aejax.sweep(base)
    x = data.load("digits").test.x[:3]
    with (
        jax.disable_jit(),
        jax.transfer_guard("disallow"),
        jax.numpy_dtype_promotion("strict"),
    ):
        run = aejax.sweep(base)
        z = run.model().encode(x)
    assert run.rows == plain.rows
    np.testing.assert_array_equal(z, plain.model().encode(x))


def test_modules_need_no_import_of_their_own(imported):
    code = "import aejax; aejax.losses.gaussian_kl; aejax.data.load"
    assert "'flax'" not in imported(code, ["flax", "optax", "aejax.losses"])
    code = "import aejax"
    assert imported(code, ["jax", "numpy", "aejax.losses"]) == "[]"
    assert {"losses", "data", "sweep"} <= set(dir(aejax))


@pytest.fixture(scope="module")
def digits_model():
    return aejax.sweep(aejax.Config(**SMALL)).model()


def test_a_trained_model_takes_data_as_stored(digits_model):
    part = data.load("digits").test
    assert part.x.dtype == np.uint8 and part.x.max() > 1
    in_units = part.x.astype(np.float32) / 16
    for use in (digits_model.encode, digits_model.reconstruct):
        for kind in (np.uint8, np.int64, np.uint16):
            np.testing.assert_array_equal(use(part.x.astype(kind)), use(in_units))
    assert digits_model.encode(part.x[:0]).shape == (0, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x * 16, r"runs from 0 to 16.*divide what is stored by 16"),
        (lambda x: -x, r"runs from -1 to"),
        (lambda x: np.where(x > 0, x, np.nan), r"entries that are not finite, the f"),
        (lambda x: np.where(x > 0, x, np.inf), r"entries that are not finite"),
        (lambda x: x + 0j, "is of type complex64; this model takes real numbers"),
        (lambda x: x.astype(str), "this model takes real numbers"),
        (lambda x: x.astype(object), "this model takes real numbers"),
        (lambda x: (x * 16).astype(np.int16) * 9, "runs from 0 to 9"),
        (lambda x: x[0], r"this model takes \(N, 8, 8, 1\)"),
    ],
)
def test_a_trained_model_refuses_what_loading_refuses(digits_model, change, message):
    x = change(data.load("digits").test.x[:9].astype(np.float32) / 16)
    for use in (
        digits_model.encode,
        digits_model.reconstruct,
        lambda x: aejax.evaluate.truncate(digits_model, x),
    ):
        with pytest.raises(aejax.InputError, match=message):
            use(x)


def test_a_binarised_model_takes_zeros_and_ones():
    model = aejax.sweep(aejax.Config(binarize="threshold", **SMALL)).model()
    stored = data.load("digits").test.x[:9]
    binary = (stored >= 8).astype(np.uint8)
    as_floats = model.encode(binary.astype(np.float32))
    np.testing.assert_array_equal(model.encode(binary), as_floats)
    np.testing.assert_array_equal(
        model.encode(stored), model.encode(stored / np.float32(16))
    )


def test_noisy_inputs_may_leave_the_range(digits_model):
    x = data.load("digits").test.x[:9] / np.float32(16) + 0.5
    with pytest.raises(aejax.InputError, match="or say corrupted=True of noisy inputs"):
        digits_model.encode(x)
    assert np.isfinite(digits_model.encode(x, corrupted=True)).all()
    with pytest.raises(aejax.InputError, match="not finite"):
        digits_model.encode(x * np.nan, corrupted=True)


def test_lengths_are_asked_for_where_data_have_them(tmp_path):
    rng = np.random.default_rng(0)
    x, length = rng.random((60, 6, 1), np.float32), rng.integers(2, 7, 60)
    x[np.arange(6) >= length[:, None]] = np.nan  # no data there, says length
    np.savez(tmp_path / "series.npz", x=x, length=length)
    base = aejax.Config(dataset=tmp_path / "series.npz", network="recurrent", **SMALL)
    model = aejax.sweep(base.replace(batch_size=8)).model()
    with pytest.raises(aejax.InputError, match="must come with one: length=np.full"):
        model.encode(np.nan_to_num(x))
    z = model.encode(x, length=length)
    np.testing.assert_array_equal(z, model.encode(np.nan_to_num(x), length=length))
    for bad in (length + 6, length.astype(float), length[:3], 0 * length):
        with pytest.raises(aejax.InputError, match="whole numbers from 1 to 6"):
            model.encode(x, length=bad)


def test_an_export_onto_a_file_is_refused(digits_model, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(aejax.InputError, match="is a file; export to a folder"):
        digits_model.export(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--hidden", "2147483648"], "every width must be a whole number from 1 to"),
        (["--epochs", "2147483647"], r"steps; 2,147,483,647 are the most"),
        (["--devices", "99999999999"], r"it must lie in \[1, 1024\]"),
        (["--axis", "latent_dim=log:1:2:" + "9" * 21], "COUNT of 1 … 100,000"),
        (["--axis", "learning_rate=log:1e-4:1e-2:1000000000"], "COUNT of 1"),
        (
            ["--axis", "seed=linear:0:999:1000", "--axis", "eps=log:1e-9:1:1000"],
            "14,000,000 combinations; one sweep takes 100,000 at most",
        ),
        (["--objective", "x" * 300], "objective 'x+…' is unknown"),
        (["--network", "/" + "x" * 3000], "does not exist"),
    ],
)
def test_numbers_without_bound_are_refused(capsys, words, message):
    assert sweep.main([*words, "--dry-run"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert re.search(message, error), error


def test_states_larger_than_memory_are_refused(tmp_path, capsys):
    words = ["--hidden", "1000000,1000000", "--out", str(tmp_path / "run")]
    for more in ([], ["--dry-run"]):
        assert sweep.main([*words, *more]) == 2
        assert "more than this machine's" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert machine.memory(free=True) <= machine.memory() < 2**60


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space", "f"), "make room and run the same command"),
        (OSError(errno.EACCES, "Permission denied", "f"), "make it writable"),
        (MemoryError("2 GB"), r"memory is full \(2 GB\); give smaller networks"),
    ],
)
def test_what_the_machine_refuses_is_said(error, message):
    with (
        pytest.raises(aejax.InputError, match=message),
        faults.explained(pathlib.Path("run")),
    ):
        raise error
    with pytest.raises(BrokenPipeError), faults.explained(None):
        raise BrokenPipeError


def test_where_results_go_may_be_the_home_or_nowhere(tmp_path, monkeypatch):
    """``--out=~/run``, which no shell expands; and bytes that are no UTF-8."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    run = aejax.sweep(aejax.Config(**SMALL), out="~/café")
    assert run.dir == tmp_path / "café" and (tmp_path / "café" / "run.json").exists()
    for out, message in (b"~/caf\xe9", "no UTF-8"), (b"~/link", "is a link to nothing"):
        with pytest.raises(aejax.InputError, match=message):
            aejax.sweep(aejax.Config(**SMALL), out=os.fsdecode(out))


def test_a_name_of_any_bytes_can_be_printed():
    code = "import sys; from experiments import environment as e\n"
    code += "e.run(lambda argv: print(argv[0]) or 0, sys.argv[1:])"
    command = [sys.executable, "-c", code, b"caf\xe9"]
    env = os.environ | {"PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"caf\\udce9\n"), done.stderr


def test_an_axis_may_be_as_long_as_one_sweep():
    assert len(axes.parse("seed=linear:0:99:100")[1]) == 100
    with pytest.raises(aejax.InputError, match="COUNT"):
        axes.parse(f"seed=linear:0:99:{config.LONGEST + 1}")
    assert environment.start(1, None)


def test_classes_keep_their_names(tmp_path):
    x = np.random.default_rng(0).random((60, 5), np.float32)
    np.savez(tmp_path / "mine.npz", x=x, y=np.array(["dog", "cat", "owl"] * 20))
    base = dict(SMALL, dataset=tmp_path / "mine.npz", batch_size=8)
    run = aejax.sweep(aejax.Config(objective="conditional_vae", **base))
    model, z = run.model(), np.zeros((3, 2))
    ids = model.decode(z, [1, 2, 0])
    np.testing.assert_array_equal(ids, model.decode(z, ["dog", "owl", "cat"]))
    assert np.ptp(ids, 0).max() > 0
    for y in (["dog", "owl", "cow"], [1, 2, 3]):
        message = "class ids from 0 to 2, or labels, in this order: cat, dog, owl; not"
        with pytest.raises(aejax.InputError, match=message):
            model.decode(z, y)


def test_errors_of_a_callback_are_the_callbacks(tmp_path):
    def lost(rows):
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

    with pytest.raises(ConnectionResetError):
        aejax.sweep(aejax.Config(**SMALL), out=tmp_path / "run", on_rows=lost)
