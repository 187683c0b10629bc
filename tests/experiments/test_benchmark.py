"""The benchmark: its arithmetic, its systems and its goals. Nothing is timed."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest

from aejax.training import member as members
from experiments import benchmark, goals, workloads
from experiments.peers import aejax as ours
from experiments.peers import aejax_loop

SMALL = {"batch": 32, "n": 96, "steps": 3, "systems": ("aejax",)}
SUITES = {n: suite for n, suite in workloads.SUITES.items() if n != "tiny"}
EVERY = {w.name: w for suite in SUITES.values() for w in suite}


def products(jaxpr):
    """FLOP of all matmuls of a program, those of loops as often as they run."""
    total = 0.0
    for e in jaxpr.eqns:
        if e.primitive.name == "dot_general":
            (contract, _), _ = e.params["dimension_numbers"]
            shape = e.invars[0].aval.shape
            inner = np.prod([shape[i] for i in contract])
            total += 2.0 * inner * np.prod(e.outvars[0].aval.shape)
        times = e.params.get("length", 1) if e.primitive.name == "scan" else 1
        for inner in jax.tree.leaves(
            list(e.params.values()), is_leaf=lambda p: hasattr(p, "eqns")
        ):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                total += times * products(inner)
    return total


@pytest.mark.parametrize(
    ("name", "limit"),
    # Sums count: conv's biases', which are products. The GRU's code enters twice.
    [("dense_vae_mnist", 1.001), ("conv_vae_mnist", 1.003), ("gru_ae_ecg5000", 1.02)],
)
def test_the_counted_arithmetic_is_that_of_the_program(name, limit, tmp_path):
    workload = EVERY[name]._replace(**SMALL)
    (population,) = ours.planned(workload, tmp_path).populations
    spec = population.spec
    hparams = spec.hparams(population.members[0].config)

    def step(state, data):
        member = members.member(spec, hparams, data)
        rows = np.arange(workload.batch)
        return member.step(state, member.batch(rows, 0), 0)

    jaxpr = jax.make_jaxpr(step)(population.state_shapes, spec.shapes())
    assert 0.999 <= products(jaxpr.jaxpr) / workload.flops() <= limit


def test_our_systems_do_the_steps_they_say(tmp_path):
    workload = EVERY["digits_vae_members"]._replace(latent=(4,) * 3, **SMALL)
    repeat, facts = ours.prepare(workload, tmp_path)
    assert repeat() == 3 * 3 and facts["compile_s"] > 0
    repeat, _ = aejax_loop.prepare(workload, tmp_path)
    assert repeat() == 3
    workload = EVERY["is_nll"]._replace(hidden=(8,), n=50, batch=50, draws=4)
    repeat, _ = ours.prepare(workload, tmp_path)
    assert repeat() == 4


def test_several_latent_sizes_are_one_program(tmp_path):
    several = [w for w in workloads.CPU if len(set(w.latent)) > 1]
    assert several
    for workload in several:
        (population,) = ours.planned(workload, tmp_path).populations
        assert len(population.members) == len(workload.latent)


def test_a_system_that_is_not_installed_says_so(tmp_path):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from experiments.peers import __main__ as one\n"
        f"one.main('quick', 'digits_vae_members', 'torch', {str(tmp_path)!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert json.loads(done.stdout) == {"error": "not installed (torch)"}, done.stderr


def test_every_goal_names_what_is_timed():
    suites = workloads.SUITES.values()
    timed = {
        (w.name, system) for suite in suites for w in suite for system in w.systems
    }
    timed |= {("default_sweep", f"aejax ({kind} cache)") for kind in ("cold", "warm")}
    for goal in (g for some in goals.GOALS.values() for g in some):
        assert (goal.workload, goal.system) in timed
        if goal.over:
            assert (goal.over[0] or goal.workload, goal.over[1]) in timed


def test_goals_are_ratios_within_one_run():
    def row(workload, system, **more):
        return {"workload": workload, "system": system} | more

    rows = [
        row("digits_vae_members", "aejax", steps_per_s=3000.0),
        row("digits_vae_members", "torch", steps_per_s=1000.0),
        row("digits_vae_members", "pythae", steps_per_s=200.0),
        row("default_sweep", "aejax (cold cache)", seconds=50.0),
        row("default_sweep", "aejax (warm cache)", seconds=30.0),
    ]
    ratios = {(r[0], r[1]): (r[2], r[-1]) for r in goals.table(rows, "cpu")[1]}
    got = {k: v for k, v in ratios.items() if v[-1] != "not measured"}
    assert got == {
        ("digits_vae_members", "× torch"): ("3", "MISS"),
        ("digits_vae_members", "× pythae"): ("15", "ok"),
        ("default_sweep", "s, cold"): ("50", "MISS"),
        ("default_sweep", "s, warm"): ("30", "ok"),
    }
    assert set(ratios) == set(got)
    assert goals.table(rows[:1], "cpu")[1][0][-1] == "not measured"
    assert not goals.table(rows, "quick")[1]


def test_unknown_workloads_are_refused(capsys):
    assert benchmark.main(["--only", "dense_vae_mnits", "--suite", "cpu"]) == 2
    assert "did you mean 'dense_vae_mnist'" in capsys.readouterr().err
