"""Objective and network files of users: whatever is wrong is told in their words."""

import os

import jax
import numpy as np
import pytest

import aejax
from aejax import data, registry
from aejax.runs import plan

SMALL = dict(hidden=(8,), batch_size=64, epochs=1, latent_dim=2)
HEAD = (
    '"""Mine. Nobody, 2026."""\nimport jax, jax.numpy as jnp, numpy as np\nheads = 1\n'
)
BODY = """def loss(model, params, batch, key, *, weight=2.0):
    z = model.encode(params, batch)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch))
    return weight * nll.mean(), {"nll": nll.mean()}
"""

# {what is wrong: (text replaced or whole file, what the message must say)}
OBJECTIVES = {
    "arity": (
        "def loss(model): return 1.0, {}",
        "loss fails: TypeError: loss.. ta",
    ),
    "none": ("def loss(m, p, b, k): pass", r"loss returned NoneType None; it must"),
    "no tuple": (
        "def loss(m, p, b, k): return jnp.zeros(())",
        "must return .loss, ",
    ),
    "a vector": (
        BODY.replace("weight * nll.mean()", "nll"),
        r"as loss an array of shape \(64,\) and type float32; it must be one float",
    ),
    "a string": ("def loss(m, p, b, k): return 'x', {}", "as loss str 'x'"),
    "an integer": ("def loss(m, p, b, k): return 3, {}", "as loss int 3"),
    "complex": (BODY.replace("weight * nll", "1j * nll"), "as loss .* type complex64"),
    "metrics": (
        BODY.replace('{"nll": nll.mean()}', "[nll.mean()]"),
        "as metrics .an",
    ),
    "keys": (BODY.replace('{"nll"', "{3"), "as metrics dict"),
    "a metric": (
        BODY.replace('"nll": nll.mean()', '"nll": nll'),
        "as metric 'nll' an",
    ),
    "a name": (BODY.replace('"nll"', '"seed"'), "a metric named seed"),
    "KeyError": (
        BODY.replace("model.encode(params, batch)", 'params["extra"]["w"]'),
        r"loss fails: line 5, `z = params\[\"extra\"\]\[\"w\"\]`: KeyError: 'w'",
    ),
    "shapes": (
        BODY.replace("nll.mean(), {", "(z + batch.x[:, :5, 0, 0]).mean(), {"),
        r"line 7, `return .*`: TypeError: add got incompatible shapes .*\(64, 2\)",
    ),
    "numpy": (
        BODY.replace("nll.mean(), {", "np.sum(np.array(nll)), {"),
        "traced arr",
    ),
    "state": (
        BODY.replace("mean()}", 'mean()}, {"a": z}'),
        "as new state .*it must",
    ),
    "init": (
        BODY + "def init(*a, **hp): return 3\n",
        "init returned int 3; it must",
    ),
    "code": (
        BODY + "def code(m, p, b, **hp): return b.x\n",
        r"code returned .*, 2\)",
    ),
    "prior": (BODY + "prior = 7\n", "prior is int 7, where a function belongs"),
    "log_weight": (
        BODY + "def log_weight(m, p, b, key, **hp): return 0.0\n",
        None,  # only when it is asked for: see below
    ),
    "optimizer": (
        BODY + "def optimizer(tx, m, **hp): return 1\n",
        "optax.Grad",
    ),
    "update": (
        BODY + "import optax\ndef optimizer(tx, m, **hp):\n"
        "    return optax.GradientTransformation(tx.init, lambda g, s, p: (g, s, 1))\n",
        "one training step, or its .* be traced: ValueError: too many values to unpack",
    ),
    "carry": (
        BODY + "def optimizer(tx, m, **hp):\n"
        "    return tx._replace(update=lambda g, s, p=None: (g, None))\n",
        r"TypeError: a step changes names, types or shapes in its \['opt_state'\]",
    ),
    "in place": (
        BODY.replace("    return", "    params['extra'] = 3\n    return"),
        "TypeError: loss changes params in place",
    ),
    "no code": (BODY + "code = None\n", "code is NoneType None, where a function"),
    "taken": (BODY.replace('"nll"', '"loss"'), "a metric named loss; give it a name"),
    "breaks": (BODY.replace('"nll"', '"a\\n"'), r"a metric named a\\n; give it"),
    "default": (BODY.replace("2.0", "None"), "mine.py': weight is None; it must be"),
    "out of range": (
        "ranges = {'weight': (5, 6)}\n" + BODY,
        r"mine.py': weight is 2; it must lie in \[5, 6\]",
    ),
    "base": ("raise BaseException('x')", "line 4, `raise .*`: BaseException: x$"),
    "base later": (
        "def loss(*a): raise GeneratorExit",
        "loss fails: line 4, .*: GeneratorExit",
    ),
    "heads": ("heads = 'two'\n" + BODY, "heads is str 'two'; a whole number from 1 to"),
    "many heads": ("heads = 10**9\n" + BODY, "heads is int 1000000000; a whole number"),
    "heads of": (
        "def heads(**hp): return None\n" + BODY,
        "heads returned NoneType",
    ),
    "inputs": ("inputs = 2.0\n" + BODY, "inputs is float 2.0; a whole number"),
    "ranges": (
        "ranges = 3\n" + BODY,
        "does not keep the contract of objectives: T",
    ),
    "static": (
        "static = 3\n" + BODY,
        "does not keep the contract of objectives: T",
    ),
    "needs": ("needs = {'money'}\n" + BODY, r"unknown in needs: \['money'\]"),
    "a class": ("class loss: pass", "contract of objectives|it must|loss fails"),
    "exit": ("import sys\nsys.exit(0)", "line 5, `sys.exit.0.`: it ends the program"),
    "exit later": ("import sys\ndef loss(*a): sys.exit(0)", "it ends the program"),
    "long": ("raise ValueError('x' * 100_000)", r"ValueError: x{200} … x{200}$"),
    "lines": ("raise ValueError('a\\n' * 500)", r"ValueError: [a ]+ … [a ]+$"),
}


def planned(tmp_path, text, kind="objective", **more):
    path = tmp_path / "mine.py"
    path.write_text(text)
    config = aejax.Config(**SMALL | {kind: str(path)} | more)
    return plan.plan(config, {})


@pytest.mark.parametrize("wrong", OBJECTIVES)
def test_an_objective_file_that_is_wrong_says_where(tmp_path, wrong):
    body, message = OBJECTIVES[wrong]
    text = HEAD + body
    if message is None:
        run = aejax.sweep(planned(tmp_path, text).populations[0].spec.config)
        x, draws = data.load("digits").test.x[:3], {"samples": 2, "grey": True}
        with pytest.raises(aejax.InputError, match=r"log_weight returned .*\(B,\)"):
            aejax.evaluate.log_likelihood(
                run.model(), x, key=jax.random.key(0), **draws
            )
        return
    with pytest.raises(aejax.InputError, match=message) as caught:
        made = planned(tmp_path, text)
        config = made.populations[0].spec.config
        aejax.sweep(config, out=tmp_path / "run", planned=made)
    assert "objective" in str(caught.value) and len(str(caught.value)) < 900
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


NETWORK = '''"""Mine. Nobody, 2026."""
from aejax import networks
from aejax.networks import mlp
def build(spec):
    net = mlp.build(spec)
    return net
'''
NETWORKS = {
    "none": (
        "    return net\n",
        "    return None\n",
        "build returned NoneType None",
    ),
    "init": (
        "return net\n",
        "return net._replace(init=lambda *a: 3)\n",
        "init returned int 3; it must be a dict",
    ),
    "encode": (
        "return net\n",
        "return net._replace(encode=lambda p, b, m: b.x)\n",
        r"encode returned an array of shape \(64, 8, 8, 1\).*\(B, Z\) = \(64, 2\)",
    ),
    "decode": (
        "return net\n",
        "return net._replace(decode=lambda p, z, b, m: z)\n",
        r"decode returned .*\(B, \*S, outputs\), \(64, 8, 8, 1, 1\)",
    ),
    "integers": (
        "return net\n",
        "return net._replace(encode=lambda p, b, m: net.encode(p, b, m).astype(int))\n",
        r"encode returned .* and type int32; it must be an array of floats",
    ),
    "taken": ("build(spec)", "build(spec, *, seed=1)", "seed of build is a field of"),
    "default": (
        "build(spec)",
        "build(spec, *, n=None)",
        "mine.py': n is None; it must",
    ),
    "error": (
        "return net\n",
        "return net._replace(decode=lambda p, z, b, m: p['lost'])\n",
        "decode fails: line 6, `return net._replace.*KeyError: 'lost'",
    ),
    "check": (
        "def build",
        "def check(spec): return 7\ndef build",
        "check returned int 7; it must return the reason",
    ),
}


@pytest.mark.parametrize("wrong", NETWORKS)
def test_a_network_file_that_is_wrong_says_where(tmp_path, wrong):
    old, new, message = NETWORKS[wrong]
    assert planned(tmp_path, NETWORK, "network", objective="ae")
    with pytest.raises(aejax.InputError, match=message):
        planned(tmp_path, NETWORK.replace(old, new, 1), "network", objective="ae")


def test_what_fails_while_it_runs_is_said(tmp_path):
    text = "    jax.debug.callback(lambda x: 1 / 0, nll)\n    return"
    made = planned(tmp_path, HEAD + BODY.replace("    return", text))
    config = made.populations[0].spec.config
    message = "mine.py': its program fails: .*ZeroDivisionError: division by zero"
    with pytest.raises(aejax.InputError, match=message):
        aejax.sweep(config, planned=made)


def test_a_good_file_is_what_it_was(tmp_path, monkeypatch):
    """Guards change neither numbers nor what is the default; ``~`` is the home."""
    made = planned(tmp_path, HEAD + BODY.replace("weight=2.0", "weight=1.0"))
    config = made.populations[0].spec.config
    ours = aejax.sweep(config)
    theirs = aejax.sweep(config.replace(objective="ae", hparams={}))
    assert [r["mse"] for r in ours.rows] == [r["mse"] for r in theirs.rows]
    assert ours.model().has_normal_prior == theirs.model().has_normal_prior
    monkeypatch.setenv("HOME", str(tmp_path))
    assert aejax.OBJECTIVES["~/mine.py"].defaults == {"weight": 1.0}


def test_an_error_of_ours_is_a_traceback(monkeypatch):
    """Only what a user's file is part of is explained by it."""
    from aejax.objectives import ae

    def loss(model, params, batch, key):
        raise ZeroDivisionError

    monkeypatch.setattr(ae, "loss", loss)
    with pytest.raises(ZeroDivisionError):
        aejax.sweep(aejax.Config(**SMALL))


@pytest.mark.parametrize("name", ["x" * 300 + ".py", "a/" * 3000, "a\0b/c", "/etc"])
def test_names_that_no_file_system_takes(name):
    for files in (aejax.OBJECTIVES, aejax.NETWORKS, aejax.TASKS):
        with pytest.raises(aejax.InputError, match="does not exist"):
            files.check(name)


def test_a_file_that_is_no_python_has_no_title():
    assert aejax.TASKS.title(os.path.realpath("/etc/passwd")) == ""
    assert aejax.TASKS.title("denoise")
    with pytest.raises(aejax.InputError, match="is not a .py file"):
        aejax.TASKS["/etc/passwd"]
    assert registry.is_path("/etc/passwd")


def test_arrays_are_named_by_shape():
    from aejax.registry import guard

    assert guard._text(np.zeros((2, 3))) == "an array of shape (2, 3) and type float64"
