"""150 damages of a finished and of an unfinished run directory.

See ``common`` for how to run it. Each damaged directory is opened, every sixth also
drawn and asked for its models, and then gone on with. Good: rows and models are those
of the undamaged run, or a warning or one paragraph says what is wrong, and --resume
ends with the files of the undamaged run or is refused. Bad: a traceback, a hang, other
numbers without a word, rows or checkpoints of an undamaged population lost.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import sys
import warnings

import numpy as np

from tests.campaigns import common

SECONDS, COUNT = 120.0, 150
ARGV = "--dataset tiny.npz --hidden 6 --epochs 6 --eval-every 2 --batch-size 16".split()
ARGV += "--objective ae vae --latent-dim 2 3 --seed 0 --devices 1".split()
VALUES = ["[]", "{}", "null", "true", "-1", "1e999", '"x"', "[[1]]", '{"a": 1}', "NaN"]
FREE = {"command", "versions", "device", "platform", "cores", "started", "cache"}
FREE |= {"compile_s", "trace_s", "train_s", "steps_per_s", "images_per_s"}


def train(path, argv=(), stop=None):
    """A run, interrupted at a report of its progress, as Ctrl-C would."""
    from aejax import progress
    from experiments import sweep

    real, events = progress.Progress.on_event, []

    def on_event(self, event):
        events.append(event["kind"])
        if event["kind"] == "train" and events.count("train") == stop:
            signal.raise_signal(signal.SIGTERM)
        real(self, event)

    progress.Progress.on_event = on_event
    try:
        return common.answer(sweep.main, [*ARGV, "--out", str(path), *argv], SECONDS)
    finally:
        progress.Progress.on_event = real


def replaced(rng, path):
    """One value of a JSON file, or of one of its lines, by another kind of value."""
    text = path.read_text("utf-8", "replace")
    values = list(re.finditer(r'(?<=: )("[^"]*"|[-\d.e]+|true|false|null)', text))
    one = rng.choice(values or [re.search("^", text)])
    new = rng.choice([*VALUES, str(rng.randrange(99))])
    path.write_text(text[: one.start()] + new + text[one.end() :], "utf-8")
    return text[max(0, one.start() - 20) : one.end()].strip()[:60] + " -> " + new


def in_place_of(rng, path):
    """Something else by its name."""
    kind = rng.choice(["gone", "folder", "link", "itself", "pipe", "moved", "zeros"])
    if kind == "zeros":
        path.write_bytes(bytes(path.stat().st_size))
        return kind
    path.rename(path.with_name("moved"))
    if kind == "folder":
        (path / "inside").mkdir(parents=True)
    elif kind in ("link", "itself"):
        os.symlink("nowhere" if kind == "link" else path.name, path)
    elif kind == "pipe":
        os.mkfifo(path)
    if kind != "moved":
        path.with_name("moved").unlink()
    return kind


def steps(out):
    """Folders of saved steps, population by population."""
    return sorted(p for p in out.glob("checkpoints/*/*") if p.name.isdigit())


def checkpoints(rng, out):
    """Saved steps lost, renamed, doubled, exchanged."""
    one, other = rng.sample(steps(out), 2)
    kind = rng.choice(
        ["lost", "renamed", "doubled", "swapped", "parent", "beside", "all"]
    )
    if kind == "lost":
        shutil.rmtree(one)
    elif kind == "renamed":
        one.rename(one.with_name(rng.choice(["3", "99999", "x", "0", "1" * 30])))
    elif kind == "doubled":
        shutil.copytree(one, one.with_name(rng.choice(["3", "99999", "-1"])))
    elif kind == "swapped":
        for a, b in ((one, "a"), (other, one), (one.with_name("a"), other)):
            a.rename(a.with_name("a") if b == "a" else b)
    elif kind == "parent":
        shutil.rmtree(one.parent)
    elif kind == "beside":
        (one.parent / rng.choice(["x", "7.orbax-checkpoint-tmp", "12"])).mkdir()
    else:
        shutil.rmtree(out / "checkpoints")
    return f"{kind} {one.relative_to(out)}"


def lines(rng, path):
    """Lines lost, doubled, exchanged, of another run, no UTF-8."""
    rows = path.read_bytes().splitlines(keepends=True)
    kind, place = rng.randrange(6), rng.randrange(len(rows))
    new = {
        0: rows[:place] + rows[place + 1 :],
        1: rows[:place] + rows[place : place + 1] * 2 + rows[place + 1 :],
        2: rng.sample(rows, len(rows)),
        3: [*rows[:place], b"\xff\xfe\n", *rows[place:]],
        4: [*rows, rows[place].replace(b"0", b"1")],
        5: [*rows[:place], rng.choice(VALUES).encode() + b"\n", *rows[place:]],
    }[kind]
    path.write_bytes(b"".join(new))
    return f"line {place}, {kind}"


def damage(rng, out):
    """Does one, and says which."""
    tables = [out / n for n in ("run.json", "results.jsonl", "summary.csv")]
    tables = [path for path in tables if path.exists()]
    saved = [p for step in steps(out) for p in step.rglob("*") if p.is_file()]
    kind = rng.choice(["bytes", "bytes", "values", "lines", "steps", "saved", "place"])
    if kind == "steps":
        return checkpoints(rng, out)
    places = {"saved": saved, "values": tables[:2], "lines": tables[1:]}
    path = rng.choice(places.get(kind, tables + [out / ".lock", rng.choice(saved)]))
    if kind in ("bytes", "saved"):
        path.write_bytes(common.damaged(rng, path.read_bytes()))
        change = ""
    else:
        change = {"values": replaced, "lines": lines, "place": in_place_of}[kind](
            rng, path
        )
    return f"{kind} {path.relative_to(out)} {change}"


def contents(out):
    """{file: what of it must be the same again}."""
    files = {n: (out / n).read_bytes() for n in ("results.jsonl", "summary.csv")}
    info = json.loads((out / "run.json").read_text())
    return files | {n: v for n, v in info.items() if n not in FREE}


def models(run):
    import jax

    return [np.asarray(a) for m in run.models() for a in jax.tree.leaves(m.params)]


def opened(out, whole, weights):
    """Why it is a bad answer of open_run and report, or what they said."""
    from aejax import config
    from aejax.runs import run
    from experiments import report

    with common.captured() as read, warnings.catch_warnings(record=True) as messages:
        warnings.simplefilter("always")
        try:
            with common.limited(SECONDS):
                reopened = run.open_run(out)
                rows = reopened.rows == whole.rows and reopened.summary == whole.summary
                if weights is not None:
                    same = zip(models(reopened), weights, strict=True)
                    rows &= all(np.array_equal(a, b) for a, b in same)
        except config.InputError as error:
            messages, rows = [error], False
        except BaseException as error:
            return f"open_run: {type(error).__name__}: {error}"[:800]
        said = " ".join(str(getattr(w, "message", w)) for w in messages)
        if not rows and not said:
            return "other rows or models, and not a word"
        if read()[1].strip():
            return f"open_run says on stderr: {read()[1][-1500:]}"
    if weights is not None:
        code, _, err = common.answer(report.main, [str(out)], SECONDS)
        if fault := common.fault_of(code, err):
            return f"report: {fault}"
    return None


def main():
    campaign = common.Campaign("damages")
    os.chdir(campaign.folder)
    rng = np.random.default_rng(0)
    np.savez("tiny.npz", x=rng.random((60, 5), np.float32))
    from aejax import report
    from aejax.runs import dispatch, run, writer
    from experiments import environment

    environment.start(1, 1)
    # Checkpoints and dispatches as often as can be.
    writer.SAVE_EVERY, dispatch.SECONDS = 0.0, 1e-6
    real, report.write = report.write, lambda runs: "none"
    report.findings = lambda runs: []
    places = {"finished": pathlib.Path("finished"), "stopped": pathlib.Path("stopped")}
    assert train(places["finished"])[0] == 0
    assert train(places["stopped"], stop=9)[0] == 130
    whole = {name: run.open_run(path) for name, path in places.items()}
    wanted, weights = contents(places["finished"]), models(whole["finished"])
    for i in range(COUNT):
        name = campaign.rng.choice(["finished", "finished", "stopped"])
        shutil.copytree(places[name], out := pathlib.Path("copy"))
        what = f"{i} {name}: {damage(campaign.rng, out)}"
        if campaign.chosen(what):
            drawn = i % 6 == 0 and name == "finished"
            report.write = real
            fault = opened(out, whole[name], weights if drawn else None)
            report.write = lambda runs: "none"
            code, printed, err = train(out, ["--resume"])
            fault = fault or common.fault_of(code, err)
            if not fault and code == 0 and contents(out) != wanted:
                old, new = wanted, contents(out)
                changed = [n for n in old if old[n] != new.get(n)]
                fault = (
                    f"after --resume {changed} differ; it said {printed[-600:]} {err}"
                )
            campaign.note(what, fault)
        shutil.rmtree(out)
    return campaign.end()


if __name__ == "__main__":
    sys.exit(main())
