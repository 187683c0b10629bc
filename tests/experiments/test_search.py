"""``python -m experiments.search``: what it prints, leaves behind and refuses."""

import contextlib
import io
import json
import pathlib
import re

import pytest

import aejax
from aejax import report
from aejax.report import table, trials
from experiments import search
from tests.experiments.common import tree

ROOT = pathlib.Path(__file__).parents[2]

TINY = "--hidden 8 --epochs 2 --eval-every 1 --population 4 --seed 0 1".split()


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished search, and what its command has printed."""
    out = tmp_path_factory.mktemp("searches") / "one"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(out.parent)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            code = search.main([*TINY, "--trials", "6", "--out", str(out)])
    assert code == 0
    return out, printed.getvalue()


def test_it_prints_generations_and_the_best_trials(done):
    out, printed = done
    assert "6 trials of 2 seeds" in printed
    assert "4 of 6 trials, best " in printed and "6 of 6 trials, best " in printed
    assert "trial  learning rate" in printed
    run = aejax.open_run(out)
    (best, *_), (line, *_) = trials.best(trials.read(run)), search_lines(printed)
    assert line.split()[0] == str(best.number)
    assert run.info["finished"] and f"report:  {out}/report.html" in printed


def search_lines(printed):
    """The rows of the table of trials."""
    _, _, rest = printed.partition("trial  learning rate")
    return [text for text in rest.split("\n")[1:] if re.match(r" *\d+ ", text)]


def test_the_page_shows_the_search(done):
    out, _ = done
    page, run = (out / "report.html").read_text(), aejax.open_run(out)
    assert 'id="search"' in page and "could not be made" not in page
    (first, *_) = report.findings([run])
    best = trials.best(trials.read(run))[0]
    assert first.startswith("The search has trained 6 trials")
    assert f"trial {best.number} is best" in first
    assert f"{best.values[0]:.4g}" in first
    facts = table.read([run])
    assert facts.leaders[0].label == f"beta_vae · trial {best.number}"
    assert facts.x is None and len(facts.settings) == 6


def test_flags_win_over_the_preset(capsys):
    from experiments.options import parse

    def entries(*words):
        return search._space(parse(words, search.SEARCH), words)

    base, space, seeds = entries("--learning-rate", "0.01", "--latent_dim=4", "8")
    assert base.learning_rate == 0.01 and [*space] == ["latent_dim", "beta"]
    assert space["latent_dim"] == [4, 8] and seeds == [0]
    base, space, _ = entries("--objective", "vae", "--axis", "latent_dim=2,3")
    assert base.objective == "vae" and [*space] == ["learning_rate", "latent_dim"]
    assert space["latent_dim"] == [2, 3]


def test_no_password_is_written(done, tmp_path):
    out, _ = done
    info = json.loads((out / "run.json").read_text())
    assert info["command"].startswith("python -m experiments.search --hidden 8")
    from experiments import options

    words = ["--storage", "postgresql://me:secret@host/x", "--trials", "6"]
    assert options.command(words, search.PROGRAM).endswith("search --trials 6")
    line = options.resume_command(words, "runs/x", search.PROGRAM)
    assert "secret" not in line and "postgresql://me:***@host/x" in line


def test_it_goes_on_with_more_trials(done, capsys):
    out, _ = done
    before = (out / "results.jsonl").read_text()
    assert search.main([*TINY, "--trials", "6", "--out", str(out)]) == 2
    assert "add --resume" in capsys.readouterr().err
    words = [*TINY, "--trials", "7", "--out", str(out), "--resume"]
    assert search.main(words) == 0
    assert "7 of 7 trials" in capsys.readouterr().out
    after = (out / "results.jsonl").read_text()
    assert after.startswith(before) and len(aejax.open_run(out).rows) == 7 * 2 * 5
    assert search.main([*words[:-1], "--resume", "--minimize", "mse"]) == 2
    assert "minimize: ['nll+kl'] there, ['mse'] here" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, text",
    [
        ("--axis learning_rate=log:0:1", "a range is"),
        ("--preset smoke --trials 0", "--trials must be at least 1"),
        ("--sampler tpee", "did you mean 'tpe'"),
        ("--minimize nothing", "has no metric 'nothing'"),
        ("--resume", "--resume needs --out"),
        ("--storage nonsense", "no URL of a database"),
        ("--halving 1", "must be at least 2"),
        ("--axis epochs=1,2", "cannot be swept"),
        ("--preset searchh", "did you mean 'search'"),
        ("--vmap 0", "--vmap is 0"),
        ("--rungs 1", "--rungs is of --halving"),
    ],
)
def test_refusals(words, text, tmp_path, capsys):
    assert search.main([*TINY, *words.split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and text in error
    files = [p.name for p in tree(tmp_path) if p.is_file()]
    assert set(files) <= {".lock"}


def test_the_example_of_the_library_runs(tmp_path):
    text = (ROOT / "aejax/search/README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.S)
    names = {}
    exec(compile(example, "aejax/search/README.md", "exec"), names)
    run = names["run"]
    assert run.info["finished"] and run.info["programs"] == 2
    assert {len(t.values) for t in trials.read(run) if t.values} == {1}


def test_the_plan_is_shown(capsys, tmp_path):
    assert search.main([*TINY, "--dry-run", "--hidden", "8", "16"]) == 0
    printed = capsys.readouterr().out
    assert "16 members in 2 programs" in printed and "latent 16" in printed
    assert not tree(tmp_path)
    assert search.main(["--help"]) == 0
    assert "--storage URL" in capsys.readouterr().out
