"""A run directory that was damaged: nothing wrong is shown, and --resume mends it."""

import asyncio
import json
import logging
import os
import random
import shutil
import sys

import jax
import numpy as np
import pytest
import test_resume
from PIL import Image
from test_resume import assert_same, flip, newest, sweep

import aejax
from aejax import (
    checkpoint,
    data,
    directory,
    job,
    pace,
    plan,
    provenance,
    report,
    run,
)
from experiments import environment

exact_bits, often = test_resume.exact_bits, test_resume.often  # fixtures


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run that has two checkpoints of its last group."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "SAVE_EVERY", 0.0)
        patch.setattr(pace, "SECONDS", 1e-6)
        return sweep(tmp_path_factory.mktemp("runs") / "whole")


@pytest.fixture
def copy(whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole.dir, out)
    return out


def lines(out):
    return (out / "results.jsonl").read_text().splitlines(keepends=True)


def of_test(rows):
    return next(i for i, line in enumerate(rows) if '"split": "test"' in line)


def changed(line):
    row = json.loads(line)
    return json.dumps(row | {"mse": row["mse"] * 2}) + "\n"


ROWS = {
    "lost": lambda rows, i: rows[:i] + rows[i + 1 :],
    "doubled": lambda rows, i: rows[:i] + rows[i : i + 1] * 2 + rows[i + 1 :],
    "cut": lambda rows, i: rows[: i - 3],
    "a digit": lambda rows, i: rows[:i] + [changed(rows[i])] + rows[i + 1 :],
    "a key": lambda rows, i: [*rows[:i], rows[i].replace('"lane"', '"lame"')],
    "a split": lambda rows, i: [r.replace('"test"', '"tesu"') for r in rows],
    "no UTF-8": lambda rows, i: [*rows[:i], '"\udcff\udcfe', *rows[i + 1 :]],
    "other JSON": lambda rows, i: ["5\n", "[]\n", '{"lane": [1]}\n', *rows[i:]],
    "NaN": lambda rows, i: [r.replace('"digits"', "NaN") for r in rows],
    "swapped": lambda rows, i: [*rows[:i], rows[i + 1], rows[i], *rows[i + 2 :]],
    "emptied": lambda rows, i: [],
    "nested": lambda rows, i: ["[" * 100_000 + "\n", *rows[1:]],
}


@pytest.mark.parametrize("damage", ROWS)
def test_rows_that_are_not_as_they_were_written(copy, whole, damage):
    rows = lines(copy)
    text = "".join(ROWS[damage](rows, of_test(rows)))
    (copy / "results.jsonl").write_text(text, "utf-8", errors="surrogateescape")
    with pytest.warns(UserWarning, match="not as it was written: rows of . of 2"):
        opened = aejax.open_run(copy)
    assert len(opened.problems) == 1
    if damage in ("lost", "a split"):  # one group's rows, and both groups'
        assert_same(sweep(copy, resume=True), whole)


def test_lost_rows_that_come_back_find_their_checkpoints(copy, whole):
    """Nothing is deleted by beginning to compute them again."""
    rows = (copy / "results.jsonl").read_bytes()
    (copy / "results.jsonl").write_bytes(b"")
    run = sweep(copy, resume=True, should_stop=lambda: True)
    assert not run.info["finished"] and run.rows == []
    opened = aejax.open_run(copy)
    assert opened.problems == opened.summary == []
    (copy / "results.jsonl").write_bytes(rows)
    events = []
    again = sweep(copy, resume=True, on_event=events.append)
    assert_same(again, whole)
    assert [e["programs"] for e in events] == [0]  # nothing was compiled


def test_a_missing_table_of_rows_or_summary(copy, whole):
    (copy / "results.jsonl").unlink()
    (copy / "summary.csv").unlink()
    with pytest.warns(UserWarning) as told:
        aejax.open_run(copy)
    assert ["results.jsonl", "summary.csv"] == [
        name
        for w in told
        for name in ("results.jsonl", "summary.csv")
        if name in str(w.message)
    ]
    assert_same(sweep(copy, resume=True), whole)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("ae", "\udc80\udcff", 1),
        lambda text: text.replace("\n", ",7,8\n"),
        lambda text: text.replace("\n", "," + "9" * 200_000 + "\n", 2),
        lambda text: text.replace("ae", "a\u2028e", 1),
        lambda text: '"' + text,
        lambda text: "",
    ],
)
def test_a_summary_that_is_not_as_it_was_written(copy, whole, damage):
    path = copy / "summary.csv"
    text = damage(path.read_text())
    path.write_text(text, "utf-8", errors="surrogateescape")
    with pytest.warns(UserWarning, match="summary.csv' is not as it was written"):
        opened = aejax.open_run(copy)
    assert opened.summary == []  # nothing is drawn from it


def test_a_summary_of_any_name_is_read_back(tmp_path):
    wanted = [{"dataset": "a\u2028b\x0bc\nd\x85e,\"f'", "n_seeds": 2, "mse_mean": 0.5}]
    target = directory.Directory(tmp_path)
    target.write_summary(wanted)
    target.close()
    assert directory.read_summary(tmp_path) == wanted


@pytest.mark.parametrize(
    "text",
    ["[]", "5", "null", '"x"', "{}", "[" * 100_000, "\udcff", "NaN"]
    + ['{"configuration": {}, "axes": []}', '{"configuration": 3, "axes": {}}']
    + ['{"configuration": {"dataset": "digits", "new": 1}, "axes": {}}']
    + ['{"configuration": {"epochs": "ten"}, "axes": {}}']
    + ['{"configuration": {}, "axes": {"seed": 3}}']
    + ['{"configuration": {}, "axes": {}, "sealed": [1]}']
    + ['{"configuration": {}, "axes": {}, "inputs": []}'],
)
def test_a_run_json_of_any_kind_is_one_sentence(tmp_path, text):
    (tmp_path / "run.json").write_text(text, "utf-8", errors="surrogateescape")
    for use in (
        lambda: aejax.open_run(tmp_path),
        lambda: aejax.sweep(aejax.Config(), out=tmp_path, resume=True),
    ):
        with pytest.raises(aejax.InputError, match="is damaged, or was written by an"):
            use()


def test_rows_of_a_group_in_training_are_known_too(tmp_path, whole, often):
    run = sweep(tmp_path / "run", should_stop=test_resume.stop_after(5))
    assert len(run.info["sealed"]) == 1 and not run.info["finished"]
    rows, path = lines(run.dir), run.dir / "results.jsonl"
    for damage in ("lost", "doubled", "a digit", "a key"):
        path.write_text("".join(ROWS[damage](rows, 3)))
        with pytest.warns(UserWarning, match="not as it was written: rows of 1 of 1"):
            aejax.open_run(run.dir)
    later = [json.loads(row) for row in rows[-2:]]  # not yet committed: no damage
    later = [json.dumps(row | {"step": row["step"] + 9}) + "\n" for row in later]
    path.write_text("".join(rows + later))
    assert aejax.open_run(run.dir).problems == []
    assert_same(sweep(run.dir, resume=True), whole)


def test_pipes_are_not_waited_for(copy):
    for name in (".lock", "run.json"):
        (copy / name).unlink()
        os.mkfifo(copy / name)
        with pytest.raises(aejax.InputError, match="No such device|holds no run"):
            sweep(copy, resume=True)
    with pytest.raises(aejax.InputError, match="it is no file"):
        aejax.open_run(copy)


def test_pipes_in_a_checkpoint_are_not_waited_for(tmp_path):
    said, state = [], {"w": np.arange(3.0)}
    store = checkpoint.Store(tmp_path / "group", said.append)
    store.save(1, state, final=False)
    path = tmp_path / "group" / "1" / "state" / "manifest.ocdbt"
    path.unlink()
    os.mkfifo(path)
    assert store.restore(lambda meta: state) == (None, {})
    assert "manifest.ocdbt is no file" in said[0]
    store.close()


def test_a_group_trained_again_has_its_place_in_the_rows(copy, whole):
    shutil.rmtree(directory.checkpoints(copy, 0))
    assert_same(sweep(copy, resume=True), whole)


def test_rows_of_a_group_in_training_may_be_followed_by_others(whole):
    """Its seal is of the last save; a reader comes when it likes."""
    mine = directory.of_lanes(whole.rows, range(4))
    at = next(i for i, r in enumerate(mine) if r["step"] > mine[0]["step"])
    info = {"sealed": [[0, 4, *directory.seal(mine[:at])]], "finished": False}
    for count in (at, at + 3, len(mine)):
        assert directory.problems(whole.dir, info, mine[:count]) == []
    for rows in (mine[: at - 1], mine[:at] + mine[:1], [mine[1], mine[0], *mine[2:]]):
        assert len(directory.problems(whole.dir, info, rows)) == 1


def test_a_model_of_an_earlier_checkpoint_says_so(copy, whole):
    flip(newest(copy, 1) / "state")
    opened = aejax.open_run(copy)
    assert opened.problems == []  # no checkpoint was looked at yet
    with pytest.warns(UserWarning) as told:
        model = opened.model(objective="vae", latent_dim=5, seed=1)
    texts = [str(w.message) for w in told]
    assert "cannot be used (its arrays are not those" in texts[0]
    assert f"that of step {model.step} is used" in texts[0]
    assert f"are of step {model.step} of {model.steps}" in texts[1]
    assert model.step < model.steps
    assert opened.problems == texts
    whole_one = whole.model(objective="vae", latent_dim=5, seed=1)
    assert (whole_one.step, whole_one.steps) == (model.steps, model.steps)
    with pytest.warns(UserWarning):
        page = report.write([aejax.open_run(copy)]).read_text()
    assert f"are of step {model.step} of" in page
    assert_same(sweep(copy, resume=True), whole)


@pytest.mark.parametrize("group, step", [(0, -10), (1, 1000)])
def test_the_facts_beside_a_checkpoint_are_protected(copy, whole, group, step):
    (path,) = (
        p for p in newest(copy, group).rglob("metadata") if "meta" in str(p.parent)
    )
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"step": facts["step"] + step}))
    said = []
    run = sweep(copy, resume=True, on_event=said.append)
    assert any("its facts are not those" in e.get("text", "") for e in said)
    assert_same(run, whole)


def test_a_folder_that_no_checkpoint_was_saved_in_yet(tmp_path):
    store = checkpoint.Store(tmp_path / "group", print)
    assert store.restore(lambda meta: None) == (None, {})
    store.close()


def test_a_run_killed_before_its_first_checkpoint_goes_on(tmp_path, whole):
    """Its groups have folders already, and rows that nothing commits."""

    def fail(event):
        if event["kind"] == "train" and event["step"]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path / "run", on_event=fail)
    assert list(directory.checkpoints(tmp_path / "run", 0).iterdir()) == []
    with pytest.raises(aejax.InputError, match="no checkpoint that can be used"):
        aejax.open_run(tmp_path / "run").models()
    assert_same(sweep(tmp_path / "run", resume=True), whole)


def test_a_run_cut_into_other_programs_is_left_alone(copy, whole, monkeypatch):
    """By a version that cuts otherwise, say: as many programs, of other lanes."""
    before = {p: p.read_bytes() for p in copy.rglob("*") if p.is_file()}
    one_each = lambda lanes, *more: [lanes[:1], lanes[1:]]  # noqa: E731
    monkeypatch.setattr(plan, "_bands", one_each)
    with pytest.raises(aejax.InputError, match="blocks|lanes of each program"):
        sweep(copy, resume=True)
    after = {p: p.read_bytes() for p in copy.rglob("*") if p.is_file()}
    assert before == after


@pytest.mark.parametrize("change", ["lanes side by side", "kind of device"])
def test_other_places_that_compute_other_digits_are_refused(copy, monkeypatch, change):
    more = {}
    if change == "lanes side by side":
        more, told = {"lane_batch": 2}, r"lane batches: \[1, 1\] there, \[2, 2\] here"
    else:
        real, told = provenance.inputs, "kind of device: cpu there, H900 here"
        other = lambda *a: real(*a) | {"kind of device": "H900"}  # noqa: E731
        monkeypatch.setattr(provenance, "inputs", other)
    with pytest.raises(aejax.InputError, match=told):
        sweep(copy, resume=True, **more)


def test_a_seal_grows_with_the_rows(whole):
    parts = directory.seal(whole.rows[:7]), directory.seal(whole.rows)
    assert directory.seal(whole.rows[7:], parts[0]) == parts[1]
    assert parts[1][0] == len(whole.rows)


def test_a_checkpoint_under_another_steps_name_is_not_taken(tmp_path):
    said, state = [], {"w": np.arange(3.0)}
    store = checkpoint.Store(tmp_path / "group", said.append)
    store.save(1, state, final=False, rows=[0, 0])
    store.close()
    (tmp_path / "group" / "1").rename(tmp_path / "group" / "7")
    store = checkpoint.Store(tmp_path / "group", said.append)
    assert store.restore(lambda meta: state) == (None, {})
    assert "there is none before it" in said[0]
    store.close()


def test_what_tensorstore_says_to_a_closed_loop_is_not_shown(monkeypatch):
    """Printed by its threads, through Python's hooks; any other error still is."""
    shown = []
    monkeypatch.setattr(sys, "excepthook", lambda *what: shown.append(what[1]))
    monkeypatch.setattr(sys, "unraisablehook", lambda what: shown.append(what[1]))
    for _ in range(2):
        assert environment.run(lambda words: 0, []) == 0
    assert isinstance(sys.excepthook, environment._Hook)
    assert not isinstance(sys.excepthook.before, environment._Hook)
    loop = asyncio.new_event_loop()
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed") as caught:
        loop.call_soon_threadsafe(print)
    late = caught.tb.tb_next  # as C++ calls it

    other = ValueError("other")
    for error, trace in (
        (caught.value, late),
        (caught.value, caught.tb),
        (other, late),
    ):
        sys.excepthook(type(error), error, trace)
        sys.unraisablehook((type(error), error, trace, None, None))
    assert shown == [caught.value] * 2 + [other] * 2
    logger, told = logging.getLogger("asyncio"), []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.msg)
    logger.addHandler(handler)
    logger.error("Task exception was never retrieved: … in OCDBT database at …")
    logger.error("Task exception was never retrieved: another's")
    logger.removeHandler(handler)
    assert told == ["Task exception was never retrieved: another's"]


def test_a_group_that_was_killed_before_its_first_save(tmp_path, whole):
    """Its folder is there, and nothing in it."""
    store = checkpoint.Store(tmp_path / "group", print)
    assert store.restore(lambda meta: {}) == (None, {})
    store.close()
    out = tmp_path / "run"
    shutil.copytree(whole.dir, out)
    for step in directory.checkpoints(out, 1).iterdir():
        shutil.rmtree(step)
    assert_same(sweep(out, resume=True), whole)


def test_checkpoints_of_before_the_seal_are_left_alone(tmp_path, monkeypatch):
    state = {"w": np.arange(3.0)}
    store = checkpoint.Store(tmp_path / "group", print)
    monkeypatch.setattr(checkpoint, "_seal", lambda meta: None)
    real = store._ocp.args.JsonSave
    unsealed = lambda meta: real({n: v for n, v in meta.items() if n != "seal"})  # noqa: E731
    monkeypatch.setattr(store._ocp.args, "JsonSave", unsealed)
    store.save(1, state, final=False)
    with pytest.raises(aejax.InputError, match="an earlier aejax"):
        store.restore(lambda meta: state)
    assert store._manager.all_steps() == [1]
    store.close()


def test_a_section_that_fails_leaves_the_others(copy, monkeypatch):
    from aejax.report import pictures

    def samples(shown):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(pictures, "samples", samples)
    with pytest.warns(UserWarning, match="section 'samples'.*by nothing"):
        page = report.write([run.open_run(copy)]).read_text()
    assert "could not be made. ZeroDivisionError: by nothing" in page
    assert 'id="bottleneck"' in page and 'id="reconstructions"' in page


def test_random_bytes_of_a_table_never_change_a_number_unseen(copy, whole):
    """Of 40 flipped bits each is harmless, or said and mended."""
    rng, good = random.Random(0), lines(copy)
    content = (copy / "results.jsonl").read_bytes()
    for _ in range(40):
        at, bit = rng.randrange(len(content)), 1 << rng.randrange(8)
        flipped = bytes([content[at] ^ bit])
        (copy / "results.jsonl").write_bytes(content[:at] + flipped + content[at + 1 :])
        rows = directory.read_rows(copy)
        found = directory.problems(copy, directory.read_info(copy), rows)
        assert found or rows == [json.loads(line) for line in good]


def _npz(folder, rng):
    x = rng.random((60, 5), np.float32)
    np.savez(folder / "mine.npz", x=x, y=np.arange(60) % 2)
    return folder / "mine.npz"


def _images(folder, rng):
    (folder / "images").mkdir(exist_ok=True)
    for i in range(30):
        pixels = rng.integers(0, 255, (4, 4), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{i}.png")
    return folder / "images"


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (_npz, lambda path: str(path)),
        (_npz, lambda path: f"{path}:1"),
        (_npz, lambda path: "~/mine.npz"),
        (_images, lambda path: str(path)),
    ],
)
def test_changed_data_are_noticed_under_any_name(tmp_path, monkeypatch, make, name):
    monkeypatch.setenv("HOME", str(tmp_path))
    rng, found = np.random.default_rng(0), []
    dataset = name(make(tmp_path, rng))
    config = aejax.Config(dataset=dataset, hidden=(8,), batch_size=4, epochs=1)
    for change in (False, False, True):
        if change:
            make(tmp_path, rng)
        planned = plan.plan(config, {})
        inputs = provenance.inputs(planned, jax.devices())
        found.append(inputs[f"data {dataset}"])
    assert found[0] == found[1] != found[2]
    if ":" not in dataset:
        return
    aejax.sweep(config, out=tmp_path / "run")
    make(tmp_path, rng)
    with pytest.raises(aejax.InputError, match="another configuration: data "):
        aejax.sweep(config, out=tmp_path / "run", resume=True)


def test_a_fingerprint_is_of_every_value_and_of_all_that_is_made_of_them():
    digits = data.load("digits")
    one = provenance.fingerprint(digits)
    changed = digits.train.x.copy()
    changed[-1, -1, -1, -1] ^= 1
    others = [
        digits._replace(train=digits.train._replace(x=changed)),
        digits._replace(test=digits.test._replace(y=digits.test.y[::-1])),
        digits._replace(scale=255.0),
        digits._replace(likelihood="gaussian"),
        digits._replace(train=digits.valid, valid=digits.train),
    ]
    assert len({one, *map(provenance.fingerprint, others)}) == 6
    assert provenance.fingerprint(digits._replace(name="other")) == one
