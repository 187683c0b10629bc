"""What a search draws from: ranges and choices, checked before anything is written."""

import pytest

import aejax
from aejax.runs import sources
from aejax.search import space as spaces

BASE = aejax.Config(objective="beta_vae", epochs=2, eval_every=1, hidden=(8,))
RATE = spaces.Range(1e-4, 0.1, True)


def frames(base, entries, members=6):
    return spaces.Space(base, entries, [0, 1]).frames(members, sources.Sources())


def test_forms_of_an_axis():
    assert spaces.parse("learning-rate=log:1e-4:0.1") == ("learning_rate", RATE)
    assert spaces.parse("beta=linear:0:4") == ("beta", spaces.Range(0.0, 4.0, False))
    assert spaces.parse("latent_dim=2,8") == ("latent_dim", [2, 8])
    assert spaces.parse("hidden=8,4;16") == ("hidden", [(8, 4), (16,)])
    assert spaces.parse("beta=log:1:4:3") == ("beta", [1.0, 2.0, 4.0])


@pytest.mark.parametrize(
    "text",
    [
        "beta=log:0:4",
        "beta=linear:4:1",
        "beta=log:a:b",
        "beta=linear:0:inf",
        "beta=log:1",
    ],
)
def test_ranges_that_are_none(text):
    with pytest.raises(aejax.InputError, match="a range is NAME=log:LOW:HIGH"):
        spaces.parse(text)


@pytest.mark.parametrize(
    "entries, words",
    [
        ({}, "needs something to choose"),
        ({"seed": [0, 1]}, "repeat each trial"),
        ({"epochs": spaces.Range(1, 9)}, "'epochs' cannot be searched"),
        ({"epochs": [1, 2]}, "'epochs' cannot be swept"),
        ({"bet": spaces.Range(1, 9)}, "did you mean 'beta'"),
        ({"bet": [1, 9]}, "did you mean 'beta'"),
        ({"batch_size": spaces.Range(32, 64)}, "a program of its own"),
        ({"latent_dim": spaces.Range(2.5, 8)}, "must be whole numbers"),
        ({"latent_dim": []}, "has no value"),
        ({"beta": spaces.Range(-1, 8)}, "beta is -1"),
        ({"weight_decay": spaces.Range(1e-5, 0.1)}, "use --optimizer adamw"),
        ({"objective": ["ae", "nothing"]}, "objective 'nothing' is unknown"),
        ({"objective": spaces.Range(1, 2)}, "objective has no range"),
        ({"network": spaces.Range(1, 2)}, "network has no range"),
        ({"beta": spaces.Range(4.0, 1.0)}, "the lower one first"),
        ({"beta": spaces.Range(0.0, 1.0, True)}, "above 0 if it is logarithmic"),
        ({"beta": spaces.Range("a", 1.0)}, "must be numbers"),
        ({"beta": 1.0}, "give a Range, or values"),
        ({"hidden": "128"}, "give a Range, or values"),
    ],
)
def test_spaces_that_cannot_be(entries, words):
    with pytest.raises(aejax.InputError, match=words):
        frames(BASE, entries)


def test_bounds_hold_at_the_smallest_latent_size():
    """topk's k is at most latent_dim: at 2 … 9 and k up to 5 some cannot be."""
    base = BASE.replace(objective="topk")
    sizes = spaces.Range(2, 9)
    with pytest.raises(aejax.InputError, match="k is 5.*latent_dim being 2"):
        frames(base, {"latent_dim": sizes, "k": spaces.Range(1, 5)})
    (one,) = frames(base, {"latent_dim": sizes, "k": spaces.Range(1, 2)}).populations
    assert one.spec.model.network_spec.latent_dim == 9


def test_programs_are_of_the_extremes():
    entries = {
        "latent_dim": spaces.Range(2, 9),
        "weight_decay": [0.0, 0.1],
        "clip_norm": spaces.Range(0, 1),
        "hidden": [(8,), (16, 8)],
        "learning_rate": RATE,
    }
    planned = frames(BASE.replace(optimizer="adamw"), entries).populations
    assert [p.spec.config.hidden for p in planned] == [(8,), (16, 8)]
    for population in planned:
        spec = population.spec
        assert spec.model.network_spec.latent_dim == 9 and spec.clip and spec.decay
        assert len(population.members) == 6


def test_whole_ends_of_a_number_draw_others_too():
    space = spaces.Space(BASE, {"beta": spaces.Range(1, 8)}, [0, 0, 1])
    assert [type(v) for v in space.entries["beta"][:2]] == [float, float]
    assert space.seeds == [0, 1]
    assert space.holds({"beta": 8.0}) and not space.holds({"beta": 8.5})


def test_traced_in_one_objective_and_static_in_another(tmp_path):
    """Each value of it is a program of the one; members of the other share one."""
    files = []
    for name, static in ("one", "()"), ("two", '("weight",)'):
        files.append(tmp_path / f"{name}.py")
        files[-1].write_text(
            f"static = {static}\n\n\n"
            "def loss(model, params, batch, key, *, weight=1.0):\n"
            "    z = model.encode(params, batch)[0]\n"
            "    out = model.decode(params, z, batch)\n"
            "    nll = weight * model.likelihood.nll(batch, out)\n"
            "    return nll.mean(), {'nll': nll.mean()}\n"
        )
    names = [str(file) for file in files]
    entries = {"objective": names, "weight": [1.0, 2.0]}
    space = spaces.Space(BASE, entries, [0])
    planned = space.frames(2, sources.Sources()).populations
    assert len(planned) == 3
    for name in names:
        for weight in (1.0, 2.0):
            (config,) = space.configs({"objective": name, "weight": weight})
            fits = [
                spaces.program(p, p.spec.config) == spaces.program(p, config)
                for p in planned
            ]
            assert fits.count(True) == 1
    with pytest.raises(aejax.InputError, match="a program of its own"):
        spaces.Space(BASE, entries | {"weight": spaces.Range(1, 2)}, [0])


def test_names_of_another_objective_are_not_drawn():
    entries = {"beta": spaces.Range(1, 4), "objective": ["ae", "beta_vae"]}
    space = spaces.Space(BASE, entries, [3, 5])
    asked = []

    def suggest(name, entry):
        asked.append(name)
        return chosen if name == "objective" else entry.high

    for chosen, names in ("ae", ["objective"]), ("beta_vae", ["objective", "beta"]):
        asked.clear()
        members = space.configs(space.draw(suggest))
        assert asked == names and [m.seed for m in members] == [3, 5]
        assert [m.objective for m in members] == [chosen] * 2
        assert members[0].hparams.get("beta") == (4.0 if chosen != "ae" else None)


def test_each_setting_has_its_program():
    entries = {"hidden": [(8,), (16, 8)], "objective": ["ae", "vae"]}
    space = spaces.Space(BASE, entries | {"learning_rate": RATE}, [0])
    planned = space.frames(2, sources.Sources()).populations
    for place, (objective, hidden) in enumerate(
        (o, h) for o in ("ae", "vae") for h in ((8,), (16, 8))
    ):
        values = {"objective": objective, "hidden": hidden, "learning_rate": 0.05}
        (config,) = space.configs(values)
        fits = [
            spaces.program(p, p.spec.config) == spaces.program(p, config)
            for p in planned
        ]
        assert fits.count(True) == 1
        found = planned[fits.index(True)].spec.config
        assert (found.objective, found.hidden) == (objective, hidden), place
