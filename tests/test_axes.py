"""Axes of a sweep, as they are typed."""

import numpy as np
import pytest

from aejax import axes, config


def test_axis_of_listed_values():
    parse = axes.parse
    assert parse("latent_dim=2,4, 8") == ("latent_dim", [2, 4, 8])
    assert parse(" learning-rate = 1e-3") == ("learning_rate", [1e-3])
    assert parse("objective=ae,vae") == ("objective", ["ae", "vae"])
    assert parse("tied=true,False") == ("tied", [True, False])
    assert parse("hidden=512,256;128") == ("hidden", [(512, 256), (128,)])
    assert parse("dataset=C:x.npz") == ("dataset", ["C:x.npz"])


def test_axis_of_ranges():
    name, values = axes.parse("beta=log:0.01:100:5")
    assert name == "beta" and values == [0.01, 0.1, 1.0, 10.0, 100.0]
    assert axes.parse("beta=linear:-1:1:5")[1] == [-1, -0.5, 0, 0.5, 1]
    assert axes.parse("beta=log:2:8:1")[1] == [2.0]
    draws = axes.parse("beta=random:0.01:100:400")[1]
    assert draws[:50] == axes.parse("beta=random:0.01:100:50")[1]
    assert draws[:50] != axes.parse("gamma=random:0.01:100:50")[1]
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
        axes.parse(text)
    assert reason in str(caught.value) and text in str(caught.value)


def test_product_varies_the_last_axis_fastest():
    combined = axes.product({"a": [1, 2], "b": ["x", "y"]})
    assert combined == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]
    assert axes.product({}) == [{}]
