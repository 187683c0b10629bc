"""What a sweep shows: in a notebook, in a terminal, elsewhere."""

import types

import pytest

import aejax
from aejax import progress

CONFIG = aejax.Config(hidden=(16,), epochs=2, eval_every=1)
AXES = {"objective": ["ae", "vae"], "latent_dim": [2, 4]}


class Cell:
    """A notebook's: keeps what is displayed in it."""

    def __init__(self):
        self.bars = []

    def update(self, bar):
        self.bars.append(bar)


@pytest.fixture
def cell(monkeypatch):
    one = Cell()
    monkeypatch.setattr(progress, "_cell", lambda first: one.update(first) or one)
    return one


def test_a_notebook_has_one_bar(cell, capsys):
    aejax.sweep(CONFIG, AXES, on_event=aejax.Progress())
    assert not capsys.readouterr().out
    shares = [bar.share for bar in cell.bars]
    assert shares == sorted(shares) and (shares[0], shares[-1]) == (0, 1)
    assert any(0 < share < 1 for share in shares)
    texts = [repr(bar) for bar in cell.bars]
    assert texts[0] == "4 autoencoders in 2 programs: 0% compiling 2 programs"
    assert "1/2 ae mlp, 2 members: " in texts[1] and "steps/s" in texts[1]
    assert texts[-1] == "4 autoencoders in 2 programs: 100% trained"
    html = cell.bars[-1]._repr_html_()
    assert '<progress value="1.000"' in html and "trained" in html


def test_one_progress_serves_several_sweeps(cell):
    shown = aejax.Progress()
    aejax.sweep(CONFIG, on_event=shown)
    aejax.sweep(CONFIG, AXES, on_event=shown)
    titles = dict.fromkeys(bar.title for bar in cell.bars)
    assert list(titles) == [
        "1 autoencoder in 1 program",
        "4 autoencoders in 2 programs",
    ]
    assert cell.bars[-1].share == 1


def test_a_resumed_sweep_begins_where_it_stands(cell):
    planned = types.SimpleNamespace(
        count=4,
        populations=[
            types.SimpleNamespace(
                index=i,
                members=[types.SimpleNamespace(columns={}, config=CONFIG)] * 2,
                spec=types.SimpleNamespace(steps=10),
            )
            for i in range(2)
        ],
    )
    show = progress.Progress(["a", "<b>"], "a title")
    show({"kind": "compile", "programs": 1, "planned": planned})
    train = {"kind": "train", "population": 1, "step": 5, "steps": 10, "members": 2}
    rates = dict.fromkeys(("steps_per_s", "images_per_s", "seconds_left"), 1.0)
    show(train | rates | {"best_valid": None})
    assert cell.bars[-1].share == pytest.approx(0.75)  # the first was trained before
    assert "&lt;b&gt;: " in cell.bars[-1]._repr_html_()


def test_a_pipe_has_lines(capsys):
    aejax.sweep(CONFIG, {"latent_dim": [2]}, on_event=aejax.Progress())
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["1 autoencoder in 1 program", "compiling 1 program"]
    assert lines[-1].startswith("1/1 ae mlp, 1 member: step 20 of 20")


def test_a_terminal_s_bars_are_taken_down(monkeypatch, capsys):
    monkeypatch.setattr(progress.sys.stdout, "isatty", lambda: True, raising=False)
    show = aejax.Progress()
    aejax.sweep(CONFIG, AXES, on_event=show)
    assert len(show._bars.tasks) == 2 and all(t.finished for t in show._bars.tasks)
    assert not show._bars.live.is_started
    with pytest.raises(KeyboardInterrupt), aejax.Progress() as other:
        aejax.sweep(CONFIG, {"latent_dim": [2]}, on_event=lambda e: stop(other, e))
    assert not other._bars.live.is_started


def stop(show, event):
    show(event)
    if event["kind"] == "train":
        raise KeyboardInterrupt


def test_a_plain_python_is_no_notebook(imported):
    code = "import aejax.progress as p\nassert p._cell(p.Bar('a', 'b')) is None"
    assert imported(code, ["IPython", "jax", "ipywidgets"]) == "[]"
