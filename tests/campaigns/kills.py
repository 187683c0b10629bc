"""100 SIGKILLs of seven sweeps at random moments, each gone on with to its end.

See ``common`` for how to run it. A sequence is a sweep that is killed while it starts,
compiles, trains, saves or finishes, until its kills are used up; then it is run to its
end. Good: results.jsonl, summary.csv and the final parameters of every member are those
of the run that nothing interrupted, byte for byte.
"""

import signal
import subprocess
import sys
import time

import numpy as np

from tests.campaigns import common

KILLS = 100
SMALL = dict(hidden=(8,), batch_size=32, epochs=8, eval_every=2)
AXES = {"latent_dim": [2, 3], "seed": [0, 1]}
SWEEPS = {  # name: configuration, axes, more
    "ae and vae": ({}, {"objective": ["ae", "vae"], "seed": [0, 1]}, {}),
    "state": ({"objective": "vq_vae"}, AXES, {}),
    "critic": ({"objective": "factor_vae"}, AXES, {}),
    "blocks": ({"objective": "vae", "batch_size": 8}, AXES, {"resident_bytes": 30_000}),
    "best": ({"objective": "vae", "select": "best", "clip_norm": 1.0}, AXES, {}),
    "conv": ({"network": "conv", "hidden": (4, 8), "epochs": 4}, AXES, {}),
    "diverging": ({"optimizer": "sgd"}, {"learning_rate": [0.01, 1e30, 0.1]}, {}),
}


def train(name, data, out):
    """What a user's process does, with checkpoints as often as can be."""
    from experiments import environment

    devices = environment.start(4, 2)
    import aejax
    from aejax.runs import dispatch, writer

    writer.SAVE_EVERY, dispatch.SECONDS = 0.0, 1e-6
    print("ready", flush=True)
    values, axes, more = SWEEPS[name]
    base = aejax.Config(dataset=str(data), **SMALL | values)
    aejax.sweep(base, axes, out=out, resume=True, devices=devices, **more)


def started(name, out):
    data = out.parent / "small.npy"
    command = [sys.executable, "-m", __spec__.name, "--train", name, data, out]
    out, err = subprocess.PIPE, subprocess.DEVNULL
    return subprocess.Popen(command, cwd=common.ROOT, stdout=out, stderr=err)


def contents(out):
    """Tables, and the parameters of every member."""
    import jax

    import aejax

    files = [(out / n).read_bytes() for n in ("results.jsonl", "summary.csv")]
    run = aejax.open_run(out)
    params = [jax.tree.leaves(model.params) for model in run.models()]
    return files, [np.asarray(a).tobytes() for leaves in params for a in leaves]


def main():
    if sys.argv[1:2] == ["--train"]:
        return train(*sys.argv[2:])
    campaign = common.Campaign("kills")
    rng, names = campaign.rng, [n for n in SWEEPS if campaign.chosen(n)]
    images = np.random.default_rng(0).random((300, 8, 8, 1), np.float32)
    np.save(campaign.folder / "small.npy", images)
    whole = {}
    for name in names:
        out = campaign.folder / f"cold {name}"  # compiles; the next one tells the time
        with started(name, out) as child:
            assert child.wait() == 0, name
        out = campaign.folder / f"whole {name}"
        began = time.monotonic()
        with started(name, out) as child:
            child.stdout.readline()
            ready = time.monotonic()
            assert child.wait() == 0, name
        whole[name] = contents(out), ready - began, time.monotonic() - ready
        print(f"{name}: {ready - began:.1f} s + {whole[name][2]:.1f} s", flush=True)
    left, index = KILLS, 0
    while left > 0:
        name = names[index % len(names)]
        out = campaign.folder / str(index)
        index += 1
        wanted, starts, lasts = whole[name]
        moments = []
        for _ in range(min(left, rng.randint(3, 6))):
            with started(name, out) as child:
                # One of eight while it starts; the rest until it would have ended.
                if rng.random() > 1 / 8:
                    child.stdout.readline()
                    moments.append(rng.uniform(0, lasts))
                else:
                    moments.append(-rng.uniform(0, starts))
                time.sleep(abs(moments[-1]))
                ended = child.poll() is not None
                child.send_signal(signal.SIGKILL)
            left -= not ended
            if ended:
                break
        with started(name, out) as child:
            code = child.wait()
        times = ", ".join(f"{moment:.2f}" for moment in moments)
        fault = f"status {code}" if code else None
        if not fault and contents(out) != wanted:
            fault = "other bytes"
        campaign.note(f"{name}, killed at {times} s", fault)
    print(f"{KILLS - left} kills of {index} sequences")
    return campaign.end()


if __name__ == "__main__":
    sys.exit(main())
