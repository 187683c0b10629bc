"""The rooms: who may import whom. ROOMS below is the one statement of their order."""

import ast
import collections
import functools
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# A file imports only rooms listed above its own; files of one room may share.
ROOMS = (
    "machine",
    "config",
    "axes",
    "registry",
    "progress",
    "xla_cpu",
    "losses",
    "corruptions",
    "likelihoods",
    "data",
    "backend",
    "settings",
    "networks",
    "objectives",
    "model",
    "training",
    "evaluate",
    "exports",
    "autoencoder",
    "runs",
    "engines",
    "search",
    "tasks",
    "report",
    "estimators",
    "tracking",
)
ONLY = {  # narrower than the order: all that these may import from aejax
    "losses": set(),
    "corruptions": {"losses"},
    "likelihoods": {"likelihoods", "losses", "xla_cpu"},
    "networks": {"networks", "config", "registry", "xla_cpu"},
    "objectives": {"losses", "corruptions"},
}
# A run shows itself: its methods for notebooks ask the report, when they are called.
EXCEPTIONS = {"aejax/runs/run.py": {"report"}}
PYTHON = sorted([*ROOT.glob("aejax/**/*.py"), *ROOT.glob("experiments/**/*.py")])


@functools.cache
def tree(path):
    return ast.parse(path.read_text())


def name(path):
    return path.relative_to(ROOT).as_posix()


def room(path):
    """config for aejax/config.py and for anything below aejax/config/."""
    return path.relative_to(ROOT / "aejax").parts[0].removesuffix(".py")


@functools.cache
def imported(path):
    """Dotted names of all modules that a file imports, inside functions too."""
    modules = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name(path)}: a relative import"
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


def packages(path):
    return {n.split(".")[0] for n in imported(path)}


def rooms(path):
    """Rooms of aejax that a file imports."""
    return {n.split(".")[1] for n in imported(path) if n.startswith("aejax.")}


def library():
    """Files of aejax but its __init__, which imports nothing of it by itself."""
    return [p for p in PYTHON if name(p).startswith("aejax/") and p != INIT]


INIT = ROOT / "aejax" / "__init__.py"


def test_the_parser_sees_imports_of_every_form(tmp_path):
    path = tmp_path / "aejax" / "probe.py"
    path.parent.mkdir()
    path.write_text(
        "import jax.numpy as jnp\nfrom aejax import run as r, plan\n"
        "def f():\n    from aejax.networks import dense\n    import flax\n"
    )
    assert packages(path) == {"jax", "aejax", "flax"}
    assert rooms(path) == {"run", "plan", "networks"}


def test_every_file_is_in_a_room():
    unknown = {name(p) for p in library() if room(p) not in ROOMS}
    assert not unknown, "add the room to ROOMS, at its place"


@pytest.mark.parametrize("path", library(), ids=name)
def test_a_file_imports_only_rooms_above_it(path):
    home = room(path)
    allowed = {home, *ROOMS[: ROOMS.index(home)]}
    if name(path) != f"aejax/{home}/__init__.py":
        allowed &= ONLY.get(home, allowed)
    allowed |= EXCEPTIONS.get(name(path), set())
    assert rooms(path) <= allowed
    assert "experiments" not in packages(path)
    assert "aejax" not in imported(path), "say: from aejax import …"


@pytest.mark.parametrize("path", EXCEPTIONS)
def test_an_exception_is_made_inside_functions(path):
    assert rooms(ROOT / path) & EXCEPTIONS[path]
    first = [n for n in tree(ROOT / path).body if isinstance(n, ast.ImportFrom)]
    modules = {f"{n.module}.{alias.name}" for n in first for alias in n.names}
    assert not {m.split(".")[1] for m in modules if "." in m} & EXCEPTIONS[path]


def test_the_package_imports_nothing_by_itself():
    assert packages(INIT) <= {"importlib", "typing"}
    import aejax

    for attribute, module in aejax._WHERE.items():
        assert module.partition(".")[0] in ROOMS
        assert hasattr(aejax, attribute)


STANDARD = ("config.py", "axes.py", "machine.py", "registry/__init__.py")


def test_config_imports_the_standard_library_only():
    heavy = {"jax", "jaxtyping", "flax", "optax", "numpy", "scipy"}
    for path in (ROOT / "aejax" / f for f in STANDARD):
        assert not packages(path) & heavy
    for path in (ROOT / "aejax/data").glob("*.py"):
        assert not packages(path) & {"jax", "flax", "optax"}, name(path)


def test_only_networks_knows_flax():
    knows = {room(p) for p in library() if "flax" in packages(p)}
    assert knows == {"networks"}
    assert not [name(p) for p in PYTHON if "flax" in packages(p) and p not in library()]


def test_an_objective_needs_nothing_but_losses_and_jax():
    for path in (ROOT / "aejax/objectives").glob("[!_]*.py"):
        allowed = {"aejax", "jax", "jaxtyping", "optax", "math"}
        allowed |= {"typing"} if path.stem == "annealing" else set()
        assert packages(path) <= allowed, name(path)


@pytest.mark.parametrize("formulas", ["losses", "corruptions", "likelihoods"])
def test_formulas_need_nothing_but_jax(formulas):
    allowed = {"aejax", "jax", "jaxtyping", "optax", "numpy"}
    allowed |= {"math", "collections", "typing", "functools"}
    for path in (p for p in library() if room(p) == formulas):
        assert packages(path) <= allowed, name(path)


# What a reader of a sweep has to know; the aim is 2,600 lines.
CORE = "config axes model training runs autoencoder".split()


def test_files_are_short():
    lengths = {name(p): len(p.read_text().splitlines()) for p in PYTHON}
    assert not {n: lines for n, lines in lengths.items() if lines > 300}
    assert not [n for n in lengths if re.search(r"(utils?|helpers?|misc)\.py$", n)]
    lengths["aejax/runs/halving.py"] = 0  # read by who asks for it
    core = sum(lengths[name(p)] for p in library() if room(p) in CORE)
    assert core < 4_800, core


def functions(paths):
    """(file, name, lines) of every function."""
    return [
        (name(path), node.name, node.end_lineno - node.lineno + 1)
        for path in paths
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef)
    ]


def test_functions_are_short():
    assert not [f for f in functions(PYTHON) if f[2] > 60]


# What a thing is, not what was done to it, whose it is or where. Of constants, which
# are the limits of something, MOST says enough.
BANNED = tuple(
    "told found shown every own at most mine held which feed judge carve holes group "
    "blueprint".split()
)


def named(code):
    """(line, name) of what code names: variables, parameters, functions, aliases."""
    for node in ast.walk(code):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.lineno, node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (
                (node.lineno, alias.asname or alias.name) for alias in node.names
            )


def no_nouns(code):
    return [(line, n) for line, n in named(code) if n.lstrip("_") in BANNED]


def test_variables_are_nouns():
    wrong = "import numpy as own\n\ndef _told(at, *, most=1):\n    a, (held, b) = c\n"
    wrong += "    [found for every in d if (mine := every)]\n"
    names = {"own", "_told", "at", "most", "held", "every", "mine"}
    assert {n for _, n in no_nouns(ast.parse(wrong))} == names
    assert not no_nouns(ast.parse("kernel.at[0].set(most=held.own)"))
    words = {name(p): no_nouns(tree(p)) for p in PYTHON}
    assert not {file: lines for file, lines in words.items() if lines}


TESTS = sorted(ROOT.glob("tests/**/*.py"))


def test_files_of_tests_are_short():
    lengths = {name(p): len(p.read_text().splitlines()) for p in TESTS}
    assert not {n: lines for n, lines in lengths.items() if lines > 300}


def test_tests_and_their_names_are_short():
    tests = [f for f in functions(TESTS) if f[1].startswith("test_")]
    assert not [test for test in tests if test[2] > 60]
    assert not [test for test in tests if len(test[1]) > 50]
    counts = collections.Counter(test[:2] for test in tests)
    assert not [test for test, count in counts.items() if count > 1], (
        "one hides another"
    )


def test_nothing_unpickles():
    """Mistake 10: loading somebody's model must not run their code."""
    banned = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    for path in PYTHON:
        assert not packages(path) & banned, name(path)
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                refused = isinstance(node.value, ast.Constant) and not node.value.value
                assert refused, f"{name(path)}: allow_pickle"
