"""Every test: four virtual devices, strict broadcasting, a cache of the session's."""

import contextlib
import gc
import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import jaxtyping
import pytest

from experiments import environment

SHARED = pathlib.Path(__file__).parents[2] / "shared" / "data"
# Of the first process; those that share its tests (pytest -n 2) inherit it.
WORKER = "PYTEST_XDIST_WORKER" in os.environ
CACHE = WORKER and os.environ["AEJAX_CACHE_DIR"] or tempfile.mkdtemp(prefix="aejax-")

# Looking for cycles at every few hundred objects that imports and traces make took 3 %
# of the time and more. What is there when tests begin is looked through no more, below.
gc.set_threshold(50_000, 20, 20)

# Before numpy starts. Two threads that wait for each other, beside other processes on
# the same cores, take a second for the QR of small data, which one does in 3 ms.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

os.environ["AEJAX_CACHE_DIR"] = CACHE
os.environ["TFDS_DATA_DIR"] = os.path.join(CACHE, "tfds")
# jax reads them once, when it starts. Compiling is most of what the tests do: without
# optimisation it takes a third of the time, with the older code generator less than
# half of that, as long as jaxlib has it (XLA ends the process at an unknown flag).
OLDER = "xla_cpu_use_fusion_emitters"
JAXLIB = re.findall(r"\d+", importlib.metadata.version("jaxlib"))[:3]
HAS_OLDER = [int(n) for n in JAXLIB] <= [0, 11, 0]
FLAGS = os.environ.get("XLA_FLAGS", "")
if not WORKER:
    FLAGS += " --xla_backend_optimization_level=0" + f" --{OLDER}=false" * HAS_OLDER
os.environ["XLA_FLAGS"] = FLAGS.strip()
os.environ["PJRT_NPROC"] = "2"  # part of the bits, whatever machine this is
environment.prepare_xla_flags()

import jax  # noqa: E402

import tests.checker  # noqa: E402, F401 - by name in the hook below

# Shapes that functions declare are checked in the tests alone, of modules imported from
# here on; users have no checker.
CHECKED = ("losses", "likelihoods", "corruptions", "model", "objectives")
jaxtyping.install_import_hook([f"aejax.{m}" for m in CHECKED], "tests.checker.once")

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
# Tests share many programs, and compiling is most of what they do.
jax.config.update("jax_compilation_cache_dir", os.path.join(CACHE, "xla"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
jax.devices()  # starts: a command under test can no longer change their number


# Files of minutes: where they come last, one process works while the other waits.
LONG = (
    "training/test_recipes.py",
    "objectives/test_contract.py",
    "training/test_population.py",
    "tasks/test_caption.py",
    "search/test_search.py",
    "runs/test_halving.py",
    "runs/test_resume.py",
    "training/test_data_parallel.py",
    "search/test_outcomes.py",
    "tasks/test_anomaly.py",
    "runs/test_halving_shards.py",
    "runs/test_shards.py",
)


def pytest_configure(config):
    config.option.loadscopereorder = False  # not by how many tests a file has


def _place(item):
    file = item.path.relative_to(pathlib.Path(__file__).parent).as_posix()
    return LONG.index(file) if file in LONG else len(LONG)


def pytest_collection_finish():
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items):
    items.sort(key=_place)
    if SHARED.is_dir():
        return
    skip = pytest.mark.skip(reason=f"the real data are not at {SHARED}")
    for item in items:
        if item.get_closest_marker("shared"):
            item.add_marker(skip)


def pytest_unconfigure():
    if not WORKER:
        shutil.rmtree(CACHE, ignore_errors=True)


@pytest.fixture(scope="session")
def as_for_users():
    """A context whose code is the users': the older generator's last bits know their
    place."""
    real = jax.stages.Lowered.compile
    options = {OLDER: True} if HAS_OLDER else {}

    @contextlib.contextmanager
    def context():
        with pytest.MonkeyPatch.context() as patch:
            flags = os.environ["XLA_FLAGS"].replace(f"--{OLDER}=false", "")
            patch.setenv("XLA_FLAGS", flags)
            patch.setattr(
                jax.stages.Lowered, "compile", lambda self: real(self, options or None)
            )
            yield

    return context


@pytest.fixture
def users_generator(as_for_users):
    """Code generated as for users; where the bits of two programs are compared."""
    with as_for_users():
        yield


@pytest.fixture(scope="session", autouse=True)
def programs_once():
    """Programs of equal facts are traced and compiled once in a process."""
    from tests import once

    with once.programs():
        yield


@pytest.fixture
def afresh(programs_once):
    """Everything is traced and compiled, whatever has been before."""
    from tests import once

    with once.none():
        yield


@pytest.fixture(autouse=True)
def counted(request):
    """Where compilations are counted, none is left out."""
    if "compiles" in request.fixturenames:
        request.getfixturevalue("afresh")


@pytest.fixture(scope="session")
def compiles():
    """A list that grows by one name at each compilation."""
    seen, compiled = [], "/jax/core/compile/backend_compile_duration"
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **facts: seen.append(event) if event == compiled else 0
    )
    return seen


@pytest.fixture
def imported():
    """(code, modules) -> which of them the code has imported, in a new process."""

    def run(code, modules):
        code += f"\nimport sys\nprint([m for m in {modules} if m in sys.modules])"
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout.strip()

    return run


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real data; for tests marked ``shared``."""
    return SHARED


@pytest.fixture(scope="session")
def digits():
    from aejax import data

    return data.load("digits")


@pytest.fixture(scope="session")
def small():
    """(objective, axes=None, **values) -> a Run on digits, trained once in seconds."""
    import aejax
    from aejax import config

    runs = {}

    def train(objective, axes=None, **values):
        key = str((objective, axes, values))
        if key not in runs:
            fields = {n: v for n, v in values.items() if n in config.FIELDS}
            hparams = {n: v for n, v in values.items() if n not in fields}
            fields = {"epochs": 40, "eval_every": 40} | fields
            base = aejax.Config(objective=objective, hparams=hparams, **fields)
            runs[key] = aejax.sweep(base, axes or {})
        return runs[key]

    return train


@pytest.fixture
def drawn():
    """result -> the figure of an application's panels, without a warning."""
    from aejax.report import canvas, drawer

    def draw(result):
        with canvas.style():
            fig = drawer.draw(result.panels)
            fig.canvas.draw()
            return fig

    return draw


@pytest.fixture
def forgetful():
    """data -> the same with noise for a training split: no metric may look at it."""
    import numpy as np

    def forget(data):
        rng = np.random.default_rng(0)
        noise = rng.uniform(0, data.scale, data.train.x.shape)
        train = data.train._replace(x=noise.astype(data.train.x.dtype))
        return data._replace(train=train)

    return forget
