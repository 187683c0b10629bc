"""A search trains its trials as members of one program, and loses none of them."""

import json
import shutil
import statistics

import jax
import optuna
import pytest

import aejax
from aejax.engines import driver
from aejax.search import goal, searcher, study
from aejax.training import program
from tests import once
from tests.runs.common import stop_after
from tests.search import common

pytestmark = pytest.mark.usefixtures("users_generator")


COUNTS = {}  # programs compiled by then, by anybody: trials that are done


@pytest.fixture(scope="module")
def whole(tmp_path_factory, request, as_for_users):
    # Asked for here: what follows need not trace again what this has compiled.
    compiles = request.getfixturevalue("compiles")

    def count(event):
        if event["kind"] == "generation":
            COUNTS[event["trials"]] = len(compiles)

    out = tmp_path_factory.mktemp("searches") / "whole"
    with as_for_users(), once.none():
        return common.run(out, on_event=count)


def same(run, whole):
    for name in ("results.jsonl", "summary.csv"):
        assert (run.dir / name).read_bytes() == (whole.dir / name).read_bytes()


def test_all_trials_are_told_the_mean_of_their_seeds(whole):
    known = common.trials(whole.dir)
    assert whole.info["finished"] and len(known) == 8
    assert len(whole.rows) == 8 * 2 * (4 * 2 + 1)  # train and valid, then the test
    for number, trial in known.items():
        each = common.values(whole, number)
        assert len(each) == 2 and each[0] != each[1]
        assert trial.value == pytest.approx(statistics.fmean(each), rel=1e-12)
        first = dict(whole.info["search"]["trials"])[number]
        assert trial.user_attrs["members"] == [first, first + 1]


def test_nothing_compiles_after_a_generation(whole):
    assert COUNTS[4] == COUNTS[8]
    assert whole.info["programs"] == 1
    assert len(whole.populations) == 2 and whole.info["members"] == 16


def test_what_was_drawn_is_what_was_trained(whole):
    members = {m.index: m for p in whole.populations for m in p.members}
    known = common.trials(whole.dir)
    for number, first in whole.info["search"]["trials"]:
        drawn = known[number].params
        for place, seed in enumerate((0, 1)):
            config = members[first + place].config
            assert config.seed == seed
            assert config.hparams["beta"] == drawn["beta"]
            assert config.latent_dim == drawn["latent_dim"]
            assert config.learning_rate == drawn["learning_rate"]
            row = next(r for r in whole.rows if r["member"] == first + place)
            assert row["learning_rate"] == drawn["learning_rate"]


def test_a_trial_has_the_rows_of_a_sweep(whole, as_for_users):
    """Bit for bit, with the same largest latent size in the program."""
    first = dict(whole.info["search"]["trials"])[5]
    rows = [r for r in whole.rows if r["member"] == first]
    config = common.BASE.replace(
        learning_rate=rows[0]["learning_rate"], hparams={"beta": rows[0]["beta"]}
    )
    sizes = [rows[0]["latent_dim"], 5]
    with as_for_users():
        swept = aejax.sweep(config, {"latent_dim": sizes}, devices=jax.devices()[:2])
    theirs = [r for r in swept.rows if r["member"] == 0]
    assert [r | {"member": first} for r in theirs] == rows


def test_models_are_those_of_the_trial(whole):
    run = aejax.open_run(whole.dir)
    columns = {m.index: m.columns for p in run.populations for m in p.members}
    first = dict(run.info["search"]["trials"])[6]
    names = ("learning_rate", "beta", "latent_dim", "seed")
    model = run.model(**{n: columns[first][n] for n in names})
    error = next(
        r["mse"] for r in run.rows if r["member"] == first and r["split"] == "test"
    )
    test = run.dataset().test.x / 16
    ours = ((model.reconstruct(test) - test) ** 2).mean()
    assert ours == pytest.approx(error, rel=1e-5)


class Killed(BaseException):
    """As SIGKILL: nothing that follows is done."""


@pytest.mark.parametrize(
    "place",
    [
        "before its owner",
        "asking",
        "asked",
        "in the first",
        "told in part",
        "gathered",
        "ending",
    ],
)
def test_killed_anywhere_it_goes_on(place, whole, tmp_path, monkeypatch):
    """Rows are byte for byte those of the search that nothing stopped."""
    calls = []

    def dying(target, name, number):
        real = getattr(target, name)

        def call(*args, **kwargs):
            calls.append(name)
            if len(calls) == number:
                raise Killed
            return real(*args, **kwargs)

        monkeypatch.setattr(target, name, call)

    points = {
        "before its owner": (optuna.trial.Trial, "set_user_attr", 3),
        "asking": (optuna.trial.Trial, "suggest_int", 6),
        "asked": (goal.Goal, "generation", 2),
        "in the first": (program.Program, "advance", 3),
        "told in part": (study.Study, "tell", 6),
        "gathered": (searcher.gather.Gathered, "take", 2),
        "ending": (searcher.gather.Gathered, "end", 1),
    }
    dying(*points[place])
    out = tmp_path / "killed"
    with pytest.raises(Killed):
        common.run(out)
    monkeypatch.undo()
    run = common.run(out)
    assert calls.count(points[place][1]) and run.info["finished"]
    same(run, whole)
    theirs = common.trials(whole.dir)
    ours = common.trials(out)
    assert [t.params for t in ours.values()] == [t.params for t in theirs.values()]
    assert [t.value for t in ours.values()] == [t.value for t in theirs.values()]


def test_stopped_it_goes_on(whole, tmp_path):
    run = common.run(tmp_path / "run", should_stop=stop_after(3))
    assert not run.info["finished"]
    assert {t.state.name for t in common.trials(run.dir).values()} == {"RUNNING"}
    same(common.run(run.dir), whole)


def test_more_trials_go_on_where_fewer_ended(whole, tmp_path):
    out = tmp_path / "run"
    fewer = common.run(out, common.FEW._replace(trials=4))
    assert fewer.info["finished"] and len(common.trials(out)) == 4
    same(common.run(out), whole)


def test_runs_share_a_study(whole, tmp_path):
    """Each trains what it has asked; what both were told both draw from."""
    storage = f"sqlite:///{tmp_path}/shared.db"
    settings = common.FEW._replace(storage=storage)
    first = common.run(tmp_path / "a", settings, should_stop=stop_after(6))
    second = common.run(tmp_path / "b", settings)
    first = common.run(tmp_path / "a", settings)
    known = common.trials(None, storage)
    numbers = [n for r in (first, second) for n, _ in r.info["search"]["trials"]]
    assert sorted(numbers) == sorted(known) == list(range(16))
    assert {t.state.name for t in known.values()} == {"COMPLETE"}
    assert len({json.dumps(t.params) for t in known.values()}) == 16
    for run in (first, second):
        for number, _ in run.info["search"]["trials"]:
            mean = statistics.fmean(common.values(run, number))
            assert known[number].value == pytest.approx(mean, rel=1e-12)
            assert known[number].user_attrs["run"] == run.info["search"]["run"]


def test_resume_needs_the_study(whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole.dir, out)
    (out / "study.db").unlink()
    with pytest.raises(aejax.InputError, match="there is no study 'aejax'"):
        common.run(out)
    same(aejax.open_run(out), whole)


def test_it_goes_on_as_a_search_alone(whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole.dir, out)
    with pytest.raises(aejax.InputError, match="begun as a search"):
        aejax.sweep(common.BASE, out=out, resume=True)
    with pytest.raises(aejax.InputError, match="not trained in shards"):
        driver.merge(out)
    more = common.FEW._replace(population=3)
    with pytest.raises(aejax.InputError, match="population: 4 there, 3 here"):
        common.run(out, more)
    info = json.loads((out / "run.json").read_text())
    for wrong in ([[0, 1]], [[0, "a"]], [["a", 0]], None):
        info["search"]["trials"] = wrong
        (out / "run.json").write_text(json.dumps(info))
        with pytest.raises(aejax.InputError, match="is damaged"):
            common.run(out)
    info["search"]["trials"] = []
    (out / "run.json").write_text(json.dumps(info))
    with pytest.raises(aejax.InputError, match="run.json was changed"):
        common.run(out)
