"""Rows, summary and run.json that were damaged: nothing wrong is shown."""

import json
import os
import random

import pytest

import aejax
from aejax import report
from aejax.runs import directory, run
from tests.runs.common import assert_same, stop_after, sweep


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
    "a key": lambda rows, i: [*rows[:i], rows[i].replace('"member"', '"lame"')],
    "a split": lambda rows, i: [r.replace('"test"', '"tesu"') for r in rows],
    "no UTF-8": lambda rows, i: [*rows[:i], '"\udcff\udcfe', *rows[i + 1 :]],
    "other JSON": lambda rows, i: ["5\n", "[]\n", '{"member": [1]}\n', *rows[i:]],
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
    if damage in ("lost", "a split"):  # one population's rows, and both's
        assert_same(sweep(copy, resume=True), whole)


def test_lost_rows_come_back_to_their_checkpoints(copy, whole):
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
    with pytest.warns(UserWarning) as caught:
        aejax.open_run(copy)
    assert ["results.jsonl", "summary.csv"] == [
        name
        for w in caught
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
    with directory.Directory(tmp_path) as target:
        target.write_summary(wanted)
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


def test_rows_in_training_are_sealed_too(tmp_path, whole, often):
    run = sweep(tmp_path / "run", should_stop=stop_after(5))
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


def test_pipes_are_not_waited_for(copy, whole):
    (copy / ".lock").unlink()
    os.mkfifo(copy / ".lock")
    assert_same(sweep(copy, resume=True), whole)  # a pipe can be locked, too
    (copy / "run.json").unlink()
    os.mkfifo(copy / "run.json")
    with pytest.raises(aejax.InputError, match="holds no run"):
        sweep(copy, resume=True)
    with pytest.raises(aejax.InputError, match="it is no file"):
        aejax.open_run(copy)


def test_rows_in_training_may_be_followed_by_others(whole):
    """Its seal is of the last save; a reader comes when it likes."""
    program_rows = directory.of_members(whole.rows, range(4))
    place = next(
        i for i, r in enumerate(program_rows) if r["step"] > program_rows[0]["step"]
    )
    info = {
        "sealed": [[0, 4, *directory.seal(program_rows[:place])]],
        "finished": False,
    }
    for count in (place, place + 3, len(program_rows)):
        assert directory.problems(whole.dir, info, program_rows[:count]) == []
    for rows in (
        program_rows[: place - 1],
        program_rows[:place] + program_rows[:1],
        [program_rows[1], program_rows[0], *program_rows[2:]],
    ):
        assert len(directory.problems(whole.dir, info, rows)) == 1


def test_a_seal_grows_with_the_rows(whole):
    parts = directory.seal(whole.rows[:7]), directory.seal(whole.rows)
    assert directory.seal(whole.rows[7:], parts[0]) == parts[1]
    assert parts[1][0] == len(whole.rows)


def test_a_section_that_fails_leaves_the_others(copy, monkeypatch):
    from aejax.report import pictures

    def samples(lines, joined=False):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(pictures, "samples", samples)
    with pytest.warns(UserWarning, match="section 'samples'.*by nothing"):
        page = report.write([run.open_run(copy)]).read_text()
    assert "could not be made. ZeroDivisionError: by nothing" in page
    assert 'id="bottleneck"' in page and 'id="reconstructions"' in page


def test_flipped_bits_never_change_a_number_unseen(copy, whole):
    """Of 40 flipped bits each is harmless, or said and mended."""
    rng, good = random.Random(0), lines(copy)
    content = (copy / "results.jsonl").read_bytes()
    for _ in range(40):
        place, bit = rng.randrange(len(content)), 1 << rng.randrange(8)
        flipped = bytes([content[place] ^ bit])
        (copy / "results.jsonl").write_bytes(
            content[:place] + flipped + content[place + 1 :]
        )
        rows = directory.read_rows(copy)
        notes = directory.problems(copy, directory.read_info(copy), rows)
        assert notes or rows == [json.loads(line) for line in good]
