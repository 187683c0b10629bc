"""Names of objectives and networks: those of the package, and files guard."""

import math
import subprocess
import sys

import pytest

from aejax import config, networks, objectives, registry


def test_importing_aejax_brings_nothing_heavy():
    """--help, --list and bad input answer before jax and its friends are imported."""
    script = """
import sys
import aejax
import aejax.config
dir(aejax), aejax.Config(latent_dim=3), aejax.InputError, list(aejax.OBJECTIVES)
light = ("jax", "jaxtyping", "flax", "optax", "numpy")
light = [m for m in light if m in sys.modules]
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


def test_registries_list_the_files_that_are_entries():
    assert {"conv", "mlp"} <= set(networks.NETWORKS)
    assert not {"latent", "dense", "__init__"} & set(networks.NETWORKS)
    assert {"ae", "vae"} <= set(objectives.OBJECTIVES)
    assert list(objectives.OBJECTIVES) == sorted(objectives.OBJECTIVES)
    assert len(objectives.OBJECTIVES) == len(list(objectives.OBJECTIVES))
    assert objectives.OBJECTIVES.title("vae").startswith("VAE. Kingma & Welling")


GOOD = '''
"""An objective from guard."""
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
    objective = objectives.OBJECTIVES[path]
    assert objective.heads == 3 and objective.loss(None, None, None, None) == (1.5, {})
    assert objective.defaults == {"beta": 0.5, "k": 2, "kind": "a", "tied": False}
    traced = {n for n in objective.defaults if objective.is_traced(n)}
    assert traced == {"beta"}, "k is named in static; str and bool always are"
    given = {"beta": 2, "k": 8.0, "kind": "b", "tied": True}
    checked = objective.check(given, 8)
    assert (
        checked == given
        and type(checked["beta"]) is float
        and type(checked["k"]) is int
    )
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
            objective.check(given | {name: value}, 8)
    assert registry.label(path) == "mine.py" and registry.label("vae") == "vae"
    asks = "own@labels=path:greek/alpha"
    assert registry.label(asks) == registry.label(f"/tmp/{asks}") == asks


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
def test_a_broken_file_is_refused_with_the_reason(tmp_path, text, reason):
    path = write(tmp_path, "broken.py", text)
    with pytest.raises(config.InputError, match=reason) as caught:
        objectives.OBJECTIVES[path]
    assert path in str(caught.value)


def test_absent_files_and_other_types_are_refused(tmp_path):
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
def test_a_range_that_depends_on_a_word_is_checked(alpha):
    known = objectives.OBJECTIVES["info_vae"]
    with pytest.raises(config.InputError, match="alpha is"):
        known.check(known.defaults | {"alpha": alpha}, 8)
    with pytest.raises(config.InputError, match="weight is 0.1"):
        known.check(known.defaults | {"alpha": 0.5, "weight": 0.1}, 8)
