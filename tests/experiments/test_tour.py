"""The notebook runs from its first cell to its last, and its outputs are committed."""

import json
import os
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
TOUR = ROOT / "experiments" / "tour.ipynb"


def cells(notebook):
    return [c for c in notebook["cells"] if c["cell_type"] == "code"]


def kinds(cell):
    """What a cell puts out: [(kind, MIME types)]."""
    return [(o["output_type"], sorted(o.get("data", ()))) for o in cell["outputs"]]


@pytest.fixture(scope="module")
def committed():
    return json.loads(TOUR.read_text())


# Its sockets and loops are theirs.
@pytest.mark.filterwarnings("ignore")
def test_it_runs_and_puts_out_what_is_committed(committed, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason='pip install "aejax[notebooks]"')
    pytest.importorskip("ipykernel", reason='pip install "aejax[notebooks]"')
    import nbformat

    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    monkeypatch.setenv("PYTHONPATH", paths)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", os.environ["AEJAX_CACHE_DIR"])
    book = nbformat.read(TOUR, as_version=4)
    for cell in cells(book):
        cell["outputs"] = []
    where = {"metadata": {"path": str(tmp_path)}}
    client = nbclient.NotebookClient(book, timeout=120, resources=where)
    client.execute()
    for ours, theirs in zip(cells(book), cells(committed), strict=True):
        assert kinds(ours) == kinds(theirs), ours["source"]
    (bar,) = cells(book)[1]["outputs"]
    (before,) = cells(committed)[1]["outputs"]
    assert bar["data"] == {n: "".join(text) for n, text in before["data"].items()}
    assert "trained" in bar["data"]["text/html"]


def test_its_outputs_are_small_and_of_no_machine(committed):
    text = TOUR.read_text()
    assert len(text) < 400_000
    numbers = [cell["execution_count"] for cell in cells(committed)]
    assert numbers == list(range(1, len(numbers) + 1)) and 8 <= len(numbers) <= 12
    outputs = [o for cell in cells(committed) for o in cell["outputs"]]
    assert not [o for o in outputs if o["output_type"] == "error"]
    assert not [o for o in outputs if o.get("name") == "stderr"]
    shown = [mime for o in outputs for mime in o.get("data", ())]
    assert shown.count("image/svg+xml") >= 3 and "text/html" in shown
    plain = re.sub(r"base64,[^\"]*", "", text)
    assert not re.findall(r"/(?:home|root|tmp|work|usr|Users)/", plain)
    assert not re.findall(r" at 0x[0-9a-f]+|steps/s|\d+ s in all", plain)
    assert not any(cell["metadata"] for cell in cells(committed))


def test_its_links_lead_somewhere(committed):
    text = "".join("".join(c["source"]) for c in committed["cells"])
    links = re.findall(r"\]\(([^)h]\S*?)\)", text)
    assert links and all((TOUR.parent / link).exists() for link in links)
