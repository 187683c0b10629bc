"""Every test of data has its own folder."""

import pytest


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Prepared sets, the cache and relative names of a test of their own."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("AEJAX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path
