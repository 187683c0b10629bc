"""What measures an accelerator, where there is none: its arithmetic and its driver."""

import json
import subprocess
import sys

import numpy as np
import pytest

from aejax import machine
from experiments.accelerator import __main__ as driver
from experiments.accelerator import (
    clock,
    gradients,
    parts,
    profile,
    summary,
)


def made_trace(process, lines, events):
    """Chrome's format: names of a process and its threads, then complete events."""
    meta = [{"ph": "M", "pid": 1, "name": "process_name", "args": {"name": process}}]
    meta += [
        {"ph": "M", "pid": 1, "tid": t, "name": "thread_name", "args": {"name": n}}
        for t, n in lines.items()
    ]
    return meta + [
        {"ph": "X", "pid": 1, "tid": t, "ts": ts, "dur": d, "name": n}
        | ({"args": {"hlo_op": op}} if op else {})
        for t, ts, d, n, op in events
    ]


def test_kernels_of_a_gpu_are_those_of_its_streams():
    lines = {7: "Stream #13(Compute)", 8: "XLA Ops", 9: "Stream #14(MemcpyH2D)"}
    events = [
        (7, 100.0, 30.0, "sm90_xmma_gemm_f32f32", "custom-call.4"),
        (7, 130.0, 20.0, "some_kernel", "gemm_fusion_dot_5"),
        (7, 160.0, 40.0, "loop_add_fusion", "loop_add_fusion"),
        (9, 190.0, 10.0, "MemcpyH2D", ""),
        (8, 100.0, 999.0, "gemm_fusion_dot_5", "gemm_fusion_dot_5"),  # derived
    ]
    result = profile.shares(made_trace("/device:GPU:0", lines, events))
    assert result["kernels"] == 4 and "streams" in result["rule"]
    assert result["kernel_s"] == pytest.approx(100e-6)
    assert result["span_s"] == pytest.approx(100e-6)
    assert result["product_share"] == pytest.approx(0.5)
    assert list(result["longest"])[0] == "loop_add_fusion"


def test_kernels_of_a_cpu_are_no_control_flow():
    events = [
        (1, 0.0, 500.0, "while.3", "while.3"),
        (1, 0.0, 30.0, "dot.7", "dot.7"),
        (2, 30.0, 90.0, "wrapped_add", "wrapped_add"),
        (2, 0.0, 70.0, "ThreadpoolListener::Record", ""),
    ]
    result = profile.shares(made_trace("/host:CPU", {1: "a", 2: "b"}, events))
    assert result["kernels"] == 2
    assert result["product_share"] == pytest.approx(0.25)
    assert profile.shares([])["product_share"] is None


def test_deviations_name_the_worst_array():
    want = {"a": np.ones(100), "b": np.full(4, 1e-9)}
    got = {"a": want["a"] * (1 + 2e-4), "b": want["b"] * 2}
    result = gradients.deviations((2.0002, got), (2.0, want))
    assert result["loss_deviation"] == pytest.approx(1e-4)
    assert result["gradient_deviation"] == pytest.approx(2e-4)
    assert result["of"] == "['a']"
    assert gradients.deviations((2.0, want), (2.0, want))["gradient_deviation"] == 0


def row(system, workload, speed, **more):
    facts = {"system": system, "workload": workload, "steps_per_s": speed}
    return facts | {"gemm_fraction": 0.4} | more


def test_targets_are_held_to_the_right_numbers():
    def done(*rows):
        return {"status": "done", "rows": list(rows)}

    members = [
        {"model": "dense", "members": n, "times_one": t}
        for n, t in ((1, 1.0), (64, 4.5), (256, 9.0))
    ]
    members.append({"model": "digits", "members": 64, "times_one": 3.9})
    worst = {"precision": "float32", "loss_deviation": 1e-6, "gradient_deviation": 3e-4}
    suite = [
        row("aejax", "dense_members_64", 900.0),
        row("torch_vmap", "dense_members_64", 300.0),
    ]
    suite.append({"missing": "torch", "why": "not installed (torch)"})
    late = {"status": "stopped", "why": "longer than its 9 s", "rows": []}
    report = {
        "resume": late,
        "gradients": done(worst),
        "members": done(*members),
        "suite": done(*suite),
    }
    result = {
        (part, what): (got, end)
        for part, what, got, _, end in summary.rows(report, False)
    }
    assert result["members", "dense: 64 members, × one"] == ("4.5", "MISS")
    assert result["members", "digits: 64 members, × one"] == ("3.9", "ok")
    assert result["members", "dense: 256 members, × one"] == ("9", "")
    assert result["gradients", "loss from the CPU's, float32, most of 1"][1] == "ok"
    assert (
        result["gradients", "gradient from the CPU's, float32, most of 1"][1] == "MISS"
    )
    assert result["suite", "dense_members_64: × torch_vmap"] == ("3", "ok")
    assert result["suite", "dense_members_64: of the largest matmul"] == ("0.4", "MISS")
    assert result["suite", "dense_members_64: × one member"][1] == "not measured"
    assert result["suite", "torch"] == ("–", "not installed (torch)")
    assert result["resume", "–"][1] == "stopped: longer than its 9 s"
    tiny = {line[1]: line[4] for line in summary.rows(report, True)}
    assert tiny["dense_members_64: × torch_vmap"] == "(tiny)"
    assert summary.text(report | {"parts": report, "tiny": False}).count("\n") == len(
        result
    )


@pytest.mark.parametrize(
    ("speed", "steps"), [(0.1, 7), (0.03, 14), (0.02, 40), (1e-3, 480)]
)
def test_the_clock_stops_at_chunks(monkeypatch, speed, steps):
    now, stops = [0.0], []

    class One:
        batches = 1

        class population:
            class spec:
                chunk, block_steps = 7, 40

        def advance(self, data, start, stop, phase, batches):
            assert phase == 0 and batches == range(1)
            stops.append(stop)
            now[0] += speed * (stop - max(start, 0))

    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])
    result = clock.step(One(), None, 0.5)
    assert result["steps"] == steps and result["step_s"] == pytest.approx(speed)
    assert all(stop in (7, 14) or stop % 40 == 0 for stop in stops)


def test_an_absent_package_has_a_version():
    assert machine.version("no-such-package-of-ours") == "uninstalled"
    assert machine.version("numpy") == np.__version__


def test_no_package_is_needed_that_may_be_missing():
    names = [p.name for p in parts.PARTS]
    code = (
        "import importlib, sys\n"
        "class Blocked:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.partition('.')[0] in GONE:\n"
        "            raise ImportError(name, name=name)\n"
        "GONE = {'tyro', 'tensorflow_datasets', 'array_record', 'mido', 'skimage',\n"
        "  'jinja2', 'PIL', 'sklearn', 'matplotlib', 'torch', 'rich', 'jax'}\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "import experiments.accelerator.__main__, experiments.readings\n"
        f"for name in {names}:\n"
        "    importlib.import_module(f'experiments.accelerator.{name}')\n"
        "GONE -= {'jax', 'rich'}  # flax has rich\n"
        "from aejax import evaluate\n"
        "from aejax.runs import plan, sweep\n"
        "from aejax.training import program, stream\n"
        "from experiments.peers import aejax, aejax_loop, gemm\n"
        "import pathlib, tempfile\n"
        "from experiments.accelerator import examples\n"
        "with tempfile.TemporaryDirectory() as d:\n"
        "    from aejax import config\n"
        "    base = config.Config(dataset=examples.digits(pathlib.Path(d)))\n"
        "    planned = plan.plan(base, {'seed': [0, 1]})\n"
        "    assert len(planned.populations[0].members) == 2\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_part_that_fails_or_is_late_says_so(tmp_path):
    env = driver.environment(tmp_path, True)
    (end,) = driver.run("no_such_part", tmp_path, True, 60, env)
    assert end["end"]["status"] == "failed" and "no_such_part" in end["end"]["why"]
    (end,) = driver.run("members", tmp_path, True, 0.1, env)
    assert end["end"]["status"] == "stopped"


def test_numbers_are_written_as_they_come_and_added_to(tmp_path, capsys):
    path = tmp_path / "accelerator-cpu-tiny.json"
    common = ["--out", str(tmp_path), "--tiny"]
    assert driver.main([*common, "--only", "convolution"]) == 0
    report = json.loads(path.read_text())
    rows = report["parts"]["convolution"]["rows"]
    ways = [(m, way) for m in (1, 2) for way in ("lax", "patches")]
    assert [(r["members"], r["way"]) for r in rows] == ways
    assert all(r["loss_deviation"] < 1e-5 for r in rows)  # both descend alike
    assert "members: patches' steps/s, × lax.conv" in capsys.readouterr().out
    assert driver.main([*common, "--only", "members", "--deadline", "15.2"]) == 0
    again = json.loads(path.read_text())["parts"]
    assert again["convolution"] == report["parts"]["convolution"]
    assert again["members"]["status"] == "skipped" and again["devices"]["rows"]
