"""One small sweep, whose rows all tests of trackers pass on, in the calls they came."""

import os
import pathlib
import shutil

import pytest

import aejax

# Before the first of them is imported, which reads them once.
CACHE = pathlib.Path(os.environ["AEJAX_CACHE_DIR"])
os.environ["TRACKIO_DIR"] = str(CACHE / "trackio")
for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
    os.environ[name] = str(CACHE / "wandb")

CONFIG = aejax.Config(hidden=(16,), epochs=2, eval_every=1)
AXES = {"objective": ["ae", "vae"], "latent_dim": [2, 4], "seed": [0, 1]}


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """(Run in a directory with its report, the rows of each call)."""
    out, calls = tmp_path_factory.mktemp("tracked") / "run", []
    run = aejax.sweep(CONFIG, AXES, out=out, on_rows=calls.append)
    aejax.report.write([run])
    return run, calls


@pytest.fixture
def place(trained, tmp_path):
    """A copy of its directory."""
    shutil.copytree(trained[0].dir, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Nothing of this user is read, nothing is left where the tests are started."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("MLFLOW_TRACKING_URI", "WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
