"""A finished run to damage, and checkpoints as often as can be."""

import shutil

import jax
import pytest

from aejax.runs import dispatch, writer
from tests.runs.common import sweep


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A finished run that has two checkpoints of its last population."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "SAVE_EVERY", 0.0)
        patch.setattr(dispatch, "SECONDS", 1e-6)
        return sweep(tmp_path_factory.mktemp("runs") / "whole")


@pytest.fixture
def copy(whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole.dir, out)
    return out


@pytest.fixture
def often(monkeypatch):
    """Checkpoints at every dispatch, and dispatches of one chunk."""
    monkeypatch.setattr(writer, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(dispatch, "SECONDS", 1e-6)


@pytest.fixture(scope="module")
def one_device():
    """As of a worker on a core."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "local_devices", lambda: jax.devices()[:1])
        yield
