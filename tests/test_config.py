"""aejax.config and aejax.registry: what is refused, and in which words."""

import dataclasses
import json
import math
import subprocess
import sys

import numpy as np
import pytest

from aejax import config, networks, objectives, registry

NUMBERS = {
    n: f.default for n, f in config.FIELDS.items() if type(f.default) in (int, float)
}


@pytest.mark.parametrize("name", config.CHOICES)
def test_every_choice_is_taken_and_any_other_word_refused(name):
    for choice in config.CHOICES[name]:
        assert getattr(config.Config(**{name: choice}), name) == choice
    word = config.CHOICES[name][0]
    with pytest.raises(config.InputError) as caught:
        config.Config(**{name: word[:-1] + "x"})
    said = str(caught.value)
    assert said.startswith(f"{name} '{word[:-1]}x' is unknown; did you mean '")
    assert all(choice in said for choice in config.CHOICES[name])
    with pytest.raises(config.InputError, match=name):
        config.Config(**{name: 3})


BELOW = {
    "latent_dim": 0,
    "seed": -1,
    "learning_rate": 0.0,
    "batch_size": 0,
    "epochs": 0,
    "eval_every": 0,
    "warmup": -1,
    "weight_decay": -1e-9,
    "clip_norm": -1e-9,
    "beta1": -1e-9,
    "beta2": -1e-9,
    "eps": 0.0,
}
ABOVE = {
    "latent_dim": 65537,
    "seed": 2**32,
    "batch_size": 2**31,
    "epochs": 2**31,
    "eval_every": 2**31,
    "warmup": 2**31,
    "beta1": 1.0,
    "beta2": 1.0,
}
ENDS = {
    "latent_dim": (1, 65536),
    "seed": (0, 2**32 - 1),
    "learning_rate": (1e-30, 1e30),
    "batch_size": (1, 2**31 - 1),
    "epochs": (1, 2**31 - 1),
    "eval_every": (1, 2**31 - 1),
    "warmup": (0, 2**31 - 1),
    "weight_decay": (0.0, 1e30),
    "clip_norm": (0.0, 1e30),
    "beta1": (0.0, 1 - 1e-9),
    "beta2": (0.0, 1 - 1e-9),
    "eps": (1e-30, 1e30),
}


def test_every_number_has_a_range_here():
    assert set(BELOW) == set(ENDS) == set(NUMBERS)


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_outside_their_range_are_refused_by_name(name):
    changes = {"optimizer": "adamw"}
    for value in ENDS[name]:
        made = config.Config(**changes | {name: value})
        assert getattr(made, name) == value
        assert type(getattr(made, name)) is type(NUMBERS[name])
    outside = [BELOW[name]] + ([ABOVE[name]] if name in ABOVE else [])
    for value in outside:
        with pytest.raises(config.InputError, match=rf"^{name} is .*; it must lie in "):
            config.Config(**changes | {name: value})
    for value in (math.nan, math.inf, -math.inf, "3", True, None, [1], 1j):
        with pytest.raises(config.InputError, match=rf"^{name} is .*must be a number"):
            config.Config(**{name: value})
    if type(NUMBERS[name]) is int:
        with pytest.raises(config.InputError, match=rf"^{name} is 1.5; .* whole"):
            config.Config(**{name: 1.5})
        low, _ = ENDS[name]
        assert type(getattr(config.Config(**{name: low + 1.0}), name)) is int
        assert type(getattr(config.Config(**{name: np.int64(low)}), name)) is int


@pytest.mark.parametrize("name", ["dataset", "objective", "network"])
@pytest.mark.parametrize("value", ["", 3, None])
def test_names_are_words(name, value):
    with pytest.raises(config.InputError, match=rf"^{name} is .*a name or a path"):
        config.Config(**{name: value})


@pytest.mark.parametrize(
    ("given", "kept"), [(64, (64,)), ([32, 16], (32, 16)), ((), ())]
)
def test_hidden_is_a_tuple_of_widths(given, kept):
    assert config.Config(hidden=given).hidden == kept


@pytest.mark.parametrize(
    "given", [(0,), (-3,), (1.5,), (True,), "64", ("64",), 64.0, None]
)
def test_other_hidden_widths_are_refused(given):
    with pytest.raises(config.InputError, match="hidden is .*--hidden 128,64"):
        config.Config(hidden=given)


def test_weight_decay_needs_an_optimizer_that_decays():
    with pytest.raises(config.InputError, match="weight_decay .*--optimizer adamw"):
        config.Config(weight_decay=0.1)
    for optimizer in ("adamw", "sgd"):
        assert config.Config(weight_decay=0.1, optimizer=optimizer).weight_decay == 0.1


def test_a_config_is_frozen_and_compares_by_value():
    hparams = {"beta": 4.0}
    made = config.Config(hparams=hparams, hidden=[8])
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.latent_dim = 3
    hparams["beta"] = 5.0
    assert made.hparams == {"beta": 4.0}, "a copy of what was given"
    assert made == config.Config(hparams={"beta": 4.0}, hidden=(8,))
    assert made != config.Config(hidden=(8,))
    changed = made.replace(latent_dim=3)
    assert (changed.latent_dim, made.latent_dim) == (3, 8)
    assert changed.hparams == made.hparams
    with pytest.raises(config.InputError, match="latent_dim"):
        made.replace(latent_dim=0)


def test_json_and_back_is_the_same_config():
    made = config.Config(
        hidden=(32, 8),
        seed=2**32 - 1,
        learning_rate=1 / 3,
        hparams={"beta": 0.1, "kind": "tanh", "tied": True, "k": 5},
    )
    text = json.dumps(made.to_json(), allow_nan=False)
    again = config.Config.from_json(json.loads(text))
    assert again == made and isinstance(again.hidden, tuple)
    assert set(made.to_json()) == set(config.FIELDS)
    again.to_json()["hparams"]["beta"] = 7
    assert again.hparams["beta"] == 0.1


def test_every_field_says_what_it_is_and_how_it_is_swept():
    for name, field in config.FIELDS.items():
        assert field.metadata["help"], name
        assert field.metadata["axis"] in ("static", "traced", None), name
    assert set(config.STATIC) | set(config.TRACED) == set(config.AXES)
    assert set(config.AXES) == set(config.FIELDS) - {"epochs", "eval_every", "hparams"}


def test_axis_of_listed_values():
    parse = config.parse_axis
    assert parse("latent_dim=2,4, 8") == ("latent_dim", [2, 4, 8])
    assert parse(" learning-rate = 1e-3") == ("learning_rate", [1e-3])
    assert parse("objective=ae,vae") == ("objective", ["ae", "vae"])
    assert parse("tied=true,False") == ("tied", [True, False])
    assert parse("hidden=512,256;128") == ("hidden", [(512, 256), (128,)])
    assert parse("dataset=C:x.npz") == ("dataset", ["C:x.npz"])


def test_axis_of_ranges():
    name, values = config.parse_axis("beta=log:0.01:100:5")
    assert name == "beta" and values == [0.01, 0.1, 1.0, 10.0, 100.0]
    assert config.parse_axis("beta=linear:-1:1:5")[1] == [-1, -0.5, 0, 0.5, 1]
    assert config.parse_axis("beta=log:2:8:1")[1] == [2.0]
    draws = config.parse_axis("beta=random:0.01:100:400")[1]
    assert draws[:50] == config.parse_axis("beta=random:0.01:100:50")[1]
    assert draws[:50] != config.parse_axis("gamma=random:0.01:100:50")[1]
    assert 0.01 <= min(draws) and max(draws) <= 100
    logs = np.log10(draws)  # uniform in the logarithm: sd 4 / sqrt(12)
    assert abs(logs.mean()) < 0.25 and abs(logs.std() - 4 / 12**0.5) < 0.15


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("latent_dim", "is not of the form"),
        ("=1,2", "is not of the form"),
        ("latent_dim=", "is not of the form"),
        ("latent_dim=1,,2", "has an empty value"),
        ("beta=log:1:10", "is not of the form"),
        ("beta=log:1:10:3:4", "is not of the form"),
        ("beta=log:a:10:3", "is not of the form"),
        ("beta=linear:1:10:2.5", "is not of the form"),
        ("beta=log:10:1:3", "LOW < HIGH"),
        ("beta=linear:1:1:3", "LOW < HIGH"),
        ("beta=linear:1:inf:3", "LOW < HIGH"),
        ("beta=linear:nan:1:3", "LOW < HIGH"),
        ("beta=log:1:10:0", "COUNT"),
        ("beta=log:0:10:3", "above 0"),
        ("beta=random:-1:10:3", "above 0"),
        ("hidden=512,big", "hidden"),
        ("hidden=512,,256", "hidden"),
        ("hidden=512;", "hidden"),
    ],
)
def test_a_malformed_axis_is_refused_with_its_text(text, reason):
    with pytest.raises(config.InputError) as caught:
        config.parse_axis(text)
    assert reason in str(caught.value) and text in str(caught.value)


def test_product_varies_the_last_axis_fastest():
    combined = config.product({"a": [1, 2], "b": ["x", "y"]})
    assert combined == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]
    assert config.product({}) == [{}]


def test_importing_aejax_brings_nothing_heavy():
    """--help, --list and bad input answer before jax and its friends are imported."""
    script = """
import sys
import aejax
import aejax.config
dir(aejax), aejax.Config(latent_dim=3), aejax.InputError, list(aejax.OBJECTIVES)
light = [m for m in ("jax", "flax", "optax", "numpy") if m in sys.modules]
aejax.NETWORKS["conv"], aejax.OBJECTIVES["vae"], aejax.sweep, aejax.open_run
heavy = ("tensorflow", "tensorflow_datasets", "matplotlib", "sklearn", "orbax")
print(light, [m for m in heavy if m in sys.modules], "jax" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split("\n")[0] == "[] [] True"


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(config.InputError) as caught:
        objectives.OBJECTIVES["vea"]
    said = str(caught.value)
    assert said.startswith("objective 'vea' is unknown; did you mean 'vae'? known: ")
    assert ", ".join(objectives.OBJECTIVES) in said
    with pytest.raises(config.InputError, match="network 'qqqqq' is unknown; known: "):
        networks.NETWORKS["qqqqq"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        import aejax

        _ = aejax.nothing


def test_the_registries_list_the_files_that_are_entries():
    assert {"conv", "mlp"} <= set(networks.NETWORKS)
    assert not {"latent", "dense", "__init__"} & set(networks.NETWORKS)
    assert {"ae", "vae"} <= set(objectives.OBJECTIVES)
    assert list(objectives.OBJECTIVES) == sorted(objectives.OBJECTIVES)
    assert len(objectives.OBJECTIVES) == len(list(objectives.OBJECTIVES))
    assert objectives.OBJECTIVES.title("vae").startswith("VAE. Kingma & Welling")


GOOD = '''
"""An objective from outside."""
import dataclasses

heads = 3
ranges = {"beta": (0.0, 2.0), "k": (1, "latent_dim")}
static = ("k",)


@dataclasses.dataclass  # looks its module up by name
class Held:
    value: "int" = 3


def loss(model, params, batch, key, *, beta=0.5, k=2, kind="a", tied=False):
    return Held().value * beta, {}
'''


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return str(path)


def test_a_file_from_outside_is_an_objective_like_any(tmp_path):
    path = write(tmp_path, "mine.py", GOOD)
    mine = objectives.OBJECTIVES[path]
    assert mine.heads == 3 and mine.loss(None, None, None, None) == (1.5, {})
    assert mine.defaults == {"beta": 0.5, "k": 2, "kind": "a", "tied": False}
    traced = {n for n in mine.defaults if mine.is_traced(n)}
    assert traced == {"beta"}, "k is named in static; str and bool always are"
    given = {"beta": 2, "k": 8.0, "kind": "b", "tied": True}
    found = mine.check(given, 8)
    assert found == given and type(found["beta"]) is float and type(found["k"]) is int
    for name, value, reason in (
        ("beta", 2.1, r"beta is 2.1; it must lie in \[0, 2\]"),
        ("beta", math.nan, "beta is nan; it must be a number"),
        ("beta", "x", "beta is 'x'; it must be a number"),
        ("beta", None, "beta is None; it must be a number"),
        ("k", 9, r"k is 9; it must lie in \[1, latent_dim\], latent_dim being 8"),
        ("k", 1.5, "k is 1.5; it must be a whole number"),
        ("k", math.inf, "k is inf; it must "),
        ("k", True, "k is True; it must be a number"),
        ("kind", 3, "kind is 3; it must be a str"),
        ("tied", 1, "tied is 1; it must be a bool"),
    ):
        with pytest.raises(config.InputError, match=reason):
            mine.check(given | {name: value}, 8)
    assert registry.label(path) == "mine.py" and registry.label("vae") == "vae"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise RuntimeError('boom')", "imported: line 1, .*`: RuntimeError: boom"),
        ("def loss(:", "fails when it is imported: line 1: SyntaxError"),
        ("import nothing_of_this_name", "imported: .*: ModuleNotFoundError"),
        ("heads = 1", "has no function loss"),
        ("loss = 3", "has no function loss"),
        ("def loss(m, p, b, k, *, beta): ...", r"no default for: \['beta'\]"),
        ("def loss(m, p, b, k, *, seed=1): ...", r"names of Config: \['seed'\]"),
    ],
)
def test_a_broken_file_from_outside_is_refused_with_the_reason(tmp_path, text, reason):
    path = write(tmp_path, "broken.py", text)
    with pytest.raises(config.InputError, match=reason) as caught:
        objectives.OBJECTIVES[path]
    assert path in str(caught.value)


def test_files_that_are_not_python_or_not_there_are_refused(tmp_path):
    for name in ("absent.py", "absent/dir"):
        with pytest.raises(config.InputError, match="does not exist"):
            objectives.OBJECTIVES[str(tmp_path / name)]
    with pytest.raises(config.InputError, match="does not exist"):
        networks.NETWORKS[str(tmp_path)]
    with pytest.raises(config.InputError, match="has no function build"):
        networks.NETWORKS[write(tmp_path, "net.py", "x = 1")]
    for name in ("no_suffix", "data.npz"):
        with pytest.raises(config.InputError, match="objective file"):
            objectives.OBJECTIVES[write(tmp_path, name, "x = 1")]


@pytest.mark.parametrize("alpha", ["abc", True, None])
def test_a_range_that_depends_on_a_word_is_no_traceback(alpha):
    known = objectives.OBJECTIVES["info_vae"]
    with pytest.raises(config.InputError, match="alpha is"):
        known.check(known.defaults | {"alpha": alpha}, 8)
    with pytest.raises(config.InputError, match="weight is 0.1"):
        known.check(known.defaults | {"alpha": 0.5, "weight": 0.1}, 8)


def test_an_input_error_is_one_line_of_bounded_length():
    text = str(
        config.InputError("a\nb\x1b[31m\udcff\u202e é 'x' \\n – " + "y" * 9999 + "z")
    )
    assert text.startswith(r"a\nb\x1b[31m\udcff\u202e é 'x' \n – yyy")
    assert text.isprintable() and len(text) < 1500 and text.endswith("yz")
    short = "dataset 'a' is unknown; known: b"
    assert str(config.InputError(short)) == short
