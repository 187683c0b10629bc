"""Objective and network files with every sort of fault, each swept for one epoch.

See ``common`` for how to run it. Good: it trains and leaves a whole run; or one
paragraph that names the file, and the line where one of its lines is to blame, and no
run directory. Bad: a traceback, a hang, silence.
"""

import os
import pathlib
import shutil
import sys

import numpy as np

from tests.campaigns import common

SECONDS = 60.0
HEAD = '"""Mine. Nobody, 2026."""\nimport jax, jax.numpy as jnp, numpy as np, sys, os\n'
LOSS = """heads = 1
def loss(model, params, batch, key, *, weight=1.0):
    z = model.encode(params, batch)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch))
    BODY
    return weight * nll.mean(), {"nll": nll.mean()}
"""
NET = """from aejax.networks import mlp
def build(spec):
    net = mlp.build(spec)
    BODY
    return net
"""
# Lines in a good file, separated by |. With a * it must be refused, with a + it must
# work, else either will do.
IN_LOSS = r"""+pass|*raise KeyError("x")|*raise KeyboardInterrupt|*sys.exit(3)
*sys.exit()|*raise ValueError("a\n" * 9000)|*raise ValueError("x" * 10**7)
*raise BaseException("x")|*raise MemoryError|*raise RecursionError
*raise StopIteration|*raise GeneratorExit|*raise Exception
*raise type("Odd", (Exception,), {"__str__": lambda s: 1 / 0})()
*f = lambda n: f(n + 1); f(0)|*if nll.mean() > 0: pass|*float(nll[0])|*int(key)
*np.asarray(nll)|*nll[0] = 3|*nll.item()|*assert False|*assert nll.shape == ()
*yield|*import nothing_of_this_name|*from jax import nothing|*undefined|*1 / 0
*None.x|*z @ z|*jnp.ones((3,)) + jnp.ones((64,))|*return|*return nll.mean()
*return nll.mean(), None|*return nll, {}|return 0.0, {}|return nll.mean() * 0, {}
*return "a", {}|*return None, {}|+return nll.mean(), {}
*return nll.mean(), {"a\nb": nll.mean()}|*return [nll.mean(), {}]
*return nll.mean(), {"": nll.mean()}|*return nll.mean(), {"x" * 10**6: nll.mean()}
*return nll.mean(), {"member": nll.mean()}|*return nll.mean(), {"split": nll.mean()}
*return nll.mean(), {"loss": 1.0}|*return nll.mean(), {"kl": nll}|*return *"abc",
*return nll.mean(), {"kl": "a"}|*return nll.mean(), {"kl": 1j}
*return nll.mean(), {1: 2}|*return nll.mean().astype(int), {}
*return 1j * nll.mean(), {}|return nll.mean() * jnp.nan, {}
return nll.mean() * jnp.inf, {}|return nll.mean().astype("bfloat16"), {}
+return nll.mean(), {}, {}|*return nll.mean(), {}, {"a": jnp.ones(3)}
*return nll.mean(), {}, 3|*return nll.mean(), {}, None, None|*return jnp.float32(1)
params.clear()|*del params["net"]|*params["net"] = {}|params["extra"] = 3
return nll.mean(), {"kl": jnp.nan}
return nll.mean(), {f"m{i}": nll.mean() for i in range(300)}|globals()["leak"] = nll
*[0] * 10**12|*os.chdir("/nowhere")
*jax.pure_callback(lambda x: 1 / 0, nll, nll)|*jax.random.normal(3, (2,))
+batch.y + 1|*batch.z|+model.stages[0]|*model.decode(params, nll)
*model.encode({}, batch)|*model.sample(key, z)|*jnp.reshape(z, (7, -1))
*jax.lax.scan(lambda c, x: (1, 2), nll, z)"""
# Lines below a good function, which they may replace.
BESIDE = r"""+pass|*heads = 0|*heads = -1|*heads = "2"|*heads = 1.5|*heads = True
*heads = None|*heads = [1]|*heads = 10**30|*heads = lambda: 1
*heads = lambda **hp: hp["no"]|heads = 2|*heads = lambda **hp: "1"|*inputs = 0
*inputs = 5.5|*ranges = 3|*ranges = {"no": (0, 1)}|*ranges = {"weight": 3}
*ranges = {"weight": (2, 1)}|*ranges = {"weight": ("a", "b")}
*ranges = {"weight": (5, 6)}|*ranges = {1: (0, 1)}|*static = "no"|*static = ("no",)
*static = 3|static = ("weight",)|*needs = "labels"|*needs = {"labels", "gold"}
*needs = 3|+needs = {"sequence"}|+needs = {"stages"}|digits = 3|*loss = 3
*loss = None|*del loss|*def loss(): pass|*def loss(*a): pass|*def loss(**k): pass
*def loss(m, p, b, k, extra): return 1.0, {}|*class loss: pass|*loss = print
*loss = jax.jit|loss = jax.jit(loss, static_argnums=0)
*def loss(m, p, b, k, *, seed=1): return k, {}
*def loss(m, p, b, k, *, a): return k, {}
*def loss(m, p, b, k, *, a=None): return k, {}
*def loss(m, p, b, k, *, a=[1]): return k, {}
*def loss(m, p, b, k, *, a=jnp.ones(3)): return k, {}
*def loss(m, p, b, k, *, a=float("nan")): return k, {}
*def loss(m, p, b, k, *, a=1j): return k, {}
*def loss(m, p, b, k, *, a=10**30): return k, {}
*def loss(m, p, b, k, *, hidden=3): return k, {}
*def loss(m, p, b, k, *, member=1.0): return k, {}|*def init(): pass|*init = 3
*prior = 3|*def init(m, n, b, k, **hp): return {"extra": {"w": 3}}
*optimizer = "adam"
*def init(m, n, b, k, **hp): return {"extra": {"w": jnp.ones(3, int)}}|*code = None
*def init(m, n, b, k, **hp): return {"state": {"w": "a"}}|*optimizer = None
*def init(m, n, b, k, **hp): return {"other": 3}
*def init(m, n, b, k, **hp): return None
*def init(m, n, b, k, **hp): return {"extra": object()}
*def code(m, p, b): return b.x|*def code(m, p, b, **hp): return None
*def code(m, p, b, **hp): raise OSError("x")
*def code(m, p, b, **hp): return np.ones((3, 3))
*def optimizer(tx, m, **hp): return None|*def optimizer(tx, m): return tx
*def optimizer(tx, m, **hp): raise ValueError
*def optimizer(tx, m, **hp): return tx._replace(update=lambda *a: None)
*def optimizer(tx, m, **hp): return tx._replace(update=lambda g, s, p=None: (g, None))
*def optimizer(tx, m, **hp): return tx._replace(init=lambda p: "a")
*def optimizer(tx, m, **hp): return tx._replace(update=lambda g, s, p=None: ({}, s))
*sys.exit(0)|*raise KeyboardInterrupt|*os.kill(os.getpid(), 2)
*raise SystemExit("a\nb")|*raise BaseException|*import tests.nothing|*1 / 0
*from aejax import nothing|*(|*\x00|*é = "|*raise ValueError("x" * 10**7)
*raise ImportError("\x1b[31m\udcff\n")|*return 3|*	x = 1|*sys.setrecursionlimit(0)
*exec("x" * 10**6)|print("hello")|*raise __import__("aejax").InputError("a\n" * 999)
__all__ = 3|__builtins__ = None|*def __getattr__(name): 1 / 0|__file__ = 3
__name__ = None"""
IN_NET = r"""+pass|*return None|*return 3|*raise KeyError("x")|*sys.exit(0)
*return net.init|*return net._replace(init=None)
*return net._replace(init=lambda *a: None)|*return net._replace(init=lambda: {})
*return net._replace(encode=lambda *a: None)
*return net._replace(init=lambda *a: {"w": "a"})
*return net._replace(init=lambda *a: {"w": 3})
*return net._replace(init=lambda *a: {"w": jnp.ones(3, int)})|*net.none
*return net._replace(encode=lambda p, b, m: jnp.ones((3, 3)))|*spec.nothing|*1 / 0
*return net._replace(encode=lambda p, b, m: b.x.sum())|*import nothing_of_this_name
*return net._replace(encode=lambda p, b, m: jnp.ones((len(b.x), spec.latent_dim), int))
*return net._replace(encode=lambda p, b, m: jnp.ones((len(b.x), spec.latent_dim)) * 1j)
*return net._replace(encode=lambda p, b: 3)
*return net._replace(decode=lambda *a: "x")
*return net._replace(decode=lambda p, z, b, m: b.x)|*return net._replace(stages=3)
*return net._replace(decode=lambda p, z, b, m: net.decode(p, z, b, m).astype(int))
*return net._replace(decode=lambda p, z, b, m: net.decode(p, z, b, m) * 1j)
*return net._replace(decode=lambda p, z, b, m: 1 / 0)|*raise MemoryError|*yield"""
BESIDE_NET = r"""def check(spec): pass|*def check(spec): return "no"
*def check(): pass|*check = 3|*def check(spec): return 3|*def check(spec): 1 / 0
*del build|*build = 3|*def build(): pass|*def build(spec, *, depth): pass
*def build(spec, *, depth=None): return mlp.build(spec)
*def build(spec, *, seed=1): return mlp.build(spec)|*def build(a, b, c): pass
needs = 3"""


def lines(text):
    return [line for row in text.split("\n") for line in row.split("|")]


def cases():
    """(kind, what was done, text of the file)."""
    for kind, whole, inner, outer in (
        ("objective", LOSS, IN_LOSS, BESIDE),
        ("network", NET, IN_NET, BESIDE_NET),
    ):
        for line in lines(inner):
            yield kind, f"in: {line}", HEAD + whole.replace("BODY", line.lstrip("*+"))
        for line in lines(outer):
            text = HEAD + whole.replace("BODY", "pass") + line.lstrip("*+") + "\n"
            yield kind, f"beside: {line}", text


def odd_files(folder):
    """(kind, argument): paths that are no such file."""
    (folder / "folder.py").mkdir()
    os.mkfifo(folder / "pipe.py")
    os.symlink("nowhere", folder / "link.py")
    for name, content in {
        "empty.py": b"",
        "nul.py": b"\0" * 40,
        "latin.py": b"# \xe9\n",
        "cookie.py": b"# coding: nothing\n",
        "long.py": b"x = 1\n" * 200_000,
        "deep.py": b"(" * 5000,
        "text.txt": b"",
    }.items():
        (folder / name).write_bytes(content)
    for path in sorted(folder.iterdir()):
        for kind in ("objective", "network"):
            yield kind, str(path)


def fault(main, kind, path, out, wanted):
    argv = ["--dataset", "tiny.npz", "--hidden", "8", "--epochs", "1", "--seed", "0"]
    argv += ["--latent-dim", "2", "--batch-size", "8", f"--{kind}", str(path)]
    argv += ["--objective", "ae"] * (kind == "network") + ["--out", str(out)]
    code, printed, err = common.answer(main, argv, SECONDS)
    whole = (out / "summary.csv").exists()
    if code == 0:
        return None if whole and wanted != "*" else "not a word"
    problem = common.fault_of(code, err, allowed=(2, 130))
    if problem or code == 130 and "interrupted" in err:
        return problem
    if pathlib.Path(path).name not in err:
        return f"the file is not named: {err}"
    if out.exists() and "its program fails" not in err:
        return f"a directory is left: {err}"
    return f"refused: {err}" if wanted == "+" else None


def main():
    campaign = common.Campaign("outside")
    common.limit_memory()
    os.chdir(campaign.folder)
    rng = np.random.default_rng(0)
    np.savez("tiny.npz", x=rng.random((40, 5), np.float32), y=np.arange(40) % 2)
    from aejax import report
    from experiments import environment, sweep

    environment.start(1, 1)
    report.write = lambda runs: "none"
    report.findings = lambda runs: []
    out = campaign.folder / "run"
    (folder := campaign.folder / "odd").mkdir()
    for kind, path in odd_files(folder):
        if campaign.chosen(path):
            problem = fault(sweep.main, kind, path, out, "*")
            campaign.note(f"{kind} {pathlib.Path(path).name}", problem)
    for i, (kind, name, text) in enumerate(cases()):
        if not campaign.chosen(f"{kind} {name}"):
            continue
        path = campaign.folder / f"mine_{i}.py"
        path.write_text(text, "utf-8", errors="surrogateescape")
        problem = fault(sweep.main, kind, path, out, name.partition(": ")[2][:1])
        campaign.note(f"{kind} {name}", problem)
        os.chdir(campaign.folder)
        shutil.rmtree(out, ignore_errors=True)
    return campaign.end()


if __name__ == "__main__":
    sys.exit(main())
