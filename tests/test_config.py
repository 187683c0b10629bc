"""aejax.config: what is refused, and in which words."""

import dataclasses
import json
import math

import numpy as np
import pytest

from aejax import config

NUMBERS = {
    n: f.default for n, f in config.FIELDS.items() if type(f.default) in (int, float)
}


@pytest.mark.parametrize("name", config.CHOICES)
def test_choices_are_taken_and_other_words_refused(name):
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
    "data_parallel": 0,
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
    "data_parallel": 65537,
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
    "data_parallel": (1, 65536),
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
def test_numbers_outside_their_range_are_refused(name):
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


def test_each_field_has_a_help_and_an_axis():
    for name, field in config.FIELDS.items():
        assert field.metadata["help"], name
        assert field.metadata["axis"] in ("static", "traced", None), name
    assert set(config.STATIC) | set(config.TRACED) == set(config.AXES)
    assert set(config.AXES) == set(config.FIELDS) - set(config.FIXED)


def test_an_input_error_is_one_line_of_bounded_length():
    text = str(
        config.InputError("a\nb\x1b[31m\udcff\u202e é 'x' \\n – " + "y" * 9999 + "z")
    )
    assert text.startswith(r"a\nb\x1b[31m\udcff\u202e é 'x' \n – yyy")
    assert text.isprintable() and len(text) < 1500 and text.endswith("yz")
    short = "dataset 'a' is unknown; known: b"
    assert str(config.InputError(short)) == short
