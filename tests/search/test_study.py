"""Studies that cannot be used are refused in a paragraph; nothing is trained."""

import sys

import optuna
import pytest
import sqlalchemy

import aejax
from aejax import search
from aejax.search import space as spaces
from aejax.search import study as studies
from tests.search import common

ABOUT = {"minimize": ["nll"], "space": {"beta": [1, 2]}}
SPACE = spaces.Space(common.BASE, {"beta": [1.0, 2.0], "hidden": [(8,), (4, 4)]}, [0])


def opened(url, owner="me", about=ABOUT, name="aejax", numbers=(), **more):
    return studies.Study(url, name, owner, ("tpe", 0), about, numbers, **more)


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/study.db"


def test_of_another_search(url):
    opened(url)
    opened(url, "another run")
    with pytest.raises(aejax.InputError, match=r"space beta: \[1, 2\] there, \[1\] he"):
        opened(url, about=ABOUT | {"space": {"beta": [1]}})


def test_of_another_program(url):
    made = optuna.create_study(storage=url, study_name="theirs")
    made.optimize(lambda trial: trial.suggest_float("x", 0, 1), 1)
    with pytest.raises(aejax.InputError, match="not made by a search of aejax"):
        opened(url, name="theirs")
    opened(url)  # beside it


def test_without_optuna(url, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(aejax.InputError, match=r'pip install "aejax\[optuna\]"'):
        opened(url)


@pytest.mark.parametrize(
    "storage, words",
    [
        ("study.db", "no URL of a database"),
        ("sqlite:////nowhere/at/all/study.db", "cannot be used"),
        ("mysql://somebody:secret@localhost/x", "needs a driver"),
        (
            "postgresql+psycopg://a:secret@127.0.0.1:9/x",
            "cannot be used|needs a driver",
        ),
        ("nothing://localhost/x", "cannot be used"),
        ("postgresql://a:secret@host:port/x", "no URL of a database"),
        ("nothing://host/x?user=me&password=secret", "cannot be used"),
    ],
)
def test_databases_that_cannot_be_used(storage, words):
    with pytest.raises(aejax.InputError, match=words) as caught:
        opened(storage)
    assert "secret" not in str(caught.value)


def test_a_damaged_database(url, tmp_path):
    (tmp_path / "study.db").write_bytes(b"nothing of a database" * 99)
    with pytest.raises(aejax.InputError, match="cannot be used"):
        opened(url)


def test_half_asked_trials_fail_and_are_asked_again(url):
    """Those of this run; one that nobody has, and is not older than a minute, stays."""
    study, whole = opened(url), [{"hidden", "beta"}]
    first = study.ask(SPACE)
    assert first.values["hidden"] in ((8,), (4, 4)) and {*first.values} == whole[0]
    half = optuna.load_study(storage=url, study_name="aejax")
    trial = half.ask()
    trial.set_user_attr(studies.OWNER, "me")
    trial.suggest_categorical("hidden", ["8", "4,4"])
    nobodys = half.ask()
    other = opened(url, "another run").ask(SPACE)
    again = opened(url)
    assert again.waiting(SPACE) == [first]
    states = [t.state.name for t in half.get_trials(deepcopy=False)]
    assert states == ["RUNNING", "FAIL", "RUNNING", "RUNNING"]
    assert [other.number, nobodys.number] == [3, 2]
    again._seen = dict.fromkeys(again._seen, -1e9)  # an hour later
    assert again.waiting(SPACE) == [first]
    states = [t.state.name for t in half.get_trials(deepcopy=False)]
    assert states == ["RUNNING", "FAIL", "FAIL", "RUNNING"]


def test_alone_nobody_s_trials_are_asked_again_at_once(url):
    """In the run's own database nobody else can just have asked them."""
    half = opened(url)
    half._study.ask()  # killed before it has an owner
    study = studies.Study(url, "aejax", "me", ("tpe", 0), ABOUT, shared=False)
    assert study.waiting(SPACE) == []
    assert half._study.get_trials()[0].state.name == "FAIL"
    other = studies.Study(f"{url}.2", "aejax", "me", ("tpe", 0), ABOUT, shared=False)
    assert study.ask(SPACE).values == other.ask(SPACE).values


def test_what_lies_outside_of_the_space_is_not_trained(url):
    study = opened(url)
    space = spaces.Space(common.BASE, common.SPACE, [0])
    for params in ({"latent_dim": 20}, {"latent_dim": 4, "beta": 0.5}):
        study._study.enqueue_trial(params)
    trial = study.ask(space)
    assert trial.number == 1 and trial.values["latent_dim"] == 4
    assert study._study.get_trials()[0].state.name == "FAIL"


def test_trials_that_the_run_does_not_know(url):
    study = opened(url)
    first = study.ask(SPACE)
    study.tell(first.number, studies.Outcome([1.0], {}, [0]))
    mine = "aejax", "me", ("tpe", 0), ABOUT
    studies.Study(url, *mine, [0])
    with pytest.raises(aejax.InputError, match="does not know: 0; run.json was chang"):
        studies.Study(url, *mine, [])
    with pytest.raises(aejax.InputError, match="lacks 2 trials of this run: 5, 6"):
        studies.Study(url, *mine, [0, 5, 6])
    with pytest.raises(aejax.InputError, match="there is no study 'x'"):
        studies.Study(url, "x", *mine[1:], [0])
    assert optuna.get_all_study_names(url) == ["aejax"]


def test_a_database_that_goes_away_is_told(url, tmp_path):
    study = opened(url)
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("DROP TABLE trials"))
    with pytest.raises(aejax.InputError, match="cannot be used"):
        study.ask(SPACE)


def test_two_that_name_a_study_at_once_notice(url):
    """The one whose settings were written over is told at its next generation."""
    first = opened(url)
    first._study.set_user_attr(studies.ABOUT, ABOUT | {"space": {"beta": [3]}})
    with pytest.raises(aejax.InputError, match="is of another search"):
        first.waiting(SPACE)


def test_what_is_drawn_depends_on_the_study_alone(tmp_path):
    """In one go, or with a new process for each trial and one lost in the middle."""
    drawn = []
    for name in ("whole", "parts"):
        url = f"sqlite:///{tmp_path}/{name}.db"
        study, values, numbers = opened(url, shared=False), [], []
        for place in range(14):  # of which the sampler looks back on the last
            if name == "parts":
                study = opened(url, numbers=numbers, shared=False)
                study.waiting(SPACE)
            if name == "parts" and place == 12:
                lost = study._study.ask()
                lost.set_user_attr(studies.OWNER, "me")
                study.waiting(SPACE)
            trial = study.ask(SPACE)
            values.append(trial.values)
            numbers.append(trial.number)
            study.tell(trial.number, studies.Outcome([place % 5], {}, [place]))
        drawn.append(values)
    assert drawn[0] == drawn[1]


def refused(tmp_path, words, settings=common.FEW, **more):
    with pytest.raises(aejax.InputError, match=words):
        common.run(tmp_path / "run", settings, **more)
    assert not (tmp_path / "run" / "run.json").exists()


def test_settings_that_cannot_be(tmp_path):
    few = common.FEW
    refused(tmp_path, "--trials", few._replace(trials=0))
    refused(tmp_path, "--population", few._replace(population=0))
    refused(tmp_path, "sampler 'tpee' is unknown", few._replace(sampler="tpee"))
    refused(tmp_path, "has no metric 'nl'", few._replace(minimize=("nl+kl",)))
    refused(tmp_path, "smallest weight would win", few._replace(minimize=("loss",)))
    rule = few._replace(halving=aejax.Halving(1.5))
    refused(tmp_path, "must be at least 2", rule)
    rule = few._replace(halving=aejax.Halving(2, (9,)))
    refused(tmp_path, "--rungs 9", rule)
    two = few._replace(halving=aejax.Halving(2), minimize=("nll", "kl"))
    refused(tmp_path, "give one --minimize", two)
    objectives = {"objective": ["ae", "vae"], "learning_rate": search.Range(0.1, 1)}
    refused(
        tmp_path,
        "'ae' has no metric 'kl'",
        few._replace(minimize=("kl",)),
        space=objectives,
    )


def test_a_directory_of_something_else(tmp_path):
    out = tmp_path / "run"
    swept = aejax.sweep(common.BASE, out=out)
    with pytest.raises(aejax.InputError, match="holds a run already"):
        common.run(out, resume=False)
    with pytest.raises(aejax.InputError, match="--resume: the run in"):
        common.run(out)
    assert aejax.open_run(out).rows == swept.rows
