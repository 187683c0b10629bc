"""400 command lines, drawn from a grammar of good and bad words.

See ``common`` for how to run it. Good: status 0, or 2 with one paragraph on stderr (130
after an interruption, 1 where the command's help says so), in two minutes and 12 GB.
Bad: a traceback, a hang, an end by a signal, words on stderr beside status 0.
"""

import json
import os
import shutil
import socket
import subprocess
import sys

import numpy as np

from tests.campaigns import common

SECONDS, COUNT = 120.0, 400
NUMBERS = (
    "0 1 2 3 -1 -0 1e3 1e-3 0.5 nan inf -inf 1e400 1e-400 007 +5 1_000 0x10 ٣ ² 1e "
    "1.5e0 2147483647 2147483648 4294967296 99999999999999999999 1e308 3.4e38 - -- "
    "'' True None --5 1,2 1;2 [1] (1,) {} 1:2 ½ 1e9999999 " + "9" * 400
).split(" ")
NAMES = (
    "ae vae mlp conv digits lecun auto none . .. / ~ ~nobody9 ~nobody9/x.npz - -- '' "
    "é \u202e \U0001f600 a\nb a\0b \udce9 %s {} {0} $HOME * ? a=b :: : digits:3 "
    "digits:3-1 digits:0-99999999999 digits:captions:captions digits:é tiny.npz "
    "tiny.npz:1 dir pipe pipe.npz pipe.py /dev/null /dev/zero /dev/null/x "
    "/proc/self/mem sock.npz circle link.npz text.npz text.py empty.py broken.py "
    "exit.py run run/run.json mnist imagenet moons tunes gaussian bernoulli "
    "categorical symbols adamw sgd cosine best dynamic bf16"
).split(" ") + ["a" * 300, "a/" * 3000, "a" * 100_000]
FLAGS = (
    "dataset objective network latent-dim seed learning-rate batch-size hidden "
    "activation likelihood binarize precision optimizer schedule warmup weight-decay "
    "clip-norm beta1 beta2 eps init output-bias select preset epochs eval-every axis "
    "out resume vmap devices dry-run list markdown help no-resume unknown é"
).split()
AXES = (
    "seed=0,1 latent_dim=2,x beta=1 beta=1,,2 =1 seed= seed =, dataset=digits,digits "
    "latent_dim=log:1:2:99999999999999 eps=log:0:1:3 eps=log:1:1:3 eps=log:-1:1:3 "
    "eps=linear:1:2:-3 eps=random:1:2:1e3 eps=log:nan:inf:3 hidden=8;16 hidden=8,x "
    "hidden=;; hidden=1e3 epochs=1,2 hparams=3 objective=ae,vae objective=x "
    "select=best eps=random:1e-300:1e300:5 seed=linear:0:1:100000 k=1 é=1 "
    "latent-dim=2 seed=0.5 seed=True seed=nan latent_dim=1e3 learning_rate=1e400 "
    "out=x __class__=1 a=b=c dataset=dir,pipe.npz objective=empty.py,broken.py "
    "precision=bf16,float64"
).split(" ")
NARROW = ["--dataset", "tiny.npz", "--hidden", "4", "--epochs", "1", "--seed", "0"]
NARROW += ["--objective", "ae", "--latent-dim", "2"]
# In processes of their own: what may not return, or takes all memory.
APART = """sweep --hidden 60000,60000 --epochs 1 | sweep --hidden 1000000,1000000
sweep --hidden 1000000 --dry-run | sweep --epochs 2147483647 --eval-every 2147483647
sweep --latent-dim 65536 --hidden 8 --epochs 1 --dry-run
sweep --batch-size 2147483647 --epochs 1 | sweep --dataset pipe.npz
sweep --dataset pipe | sweep --dataset /dev/zero | sweep --dataset /dev/stdin
sweep --objective pipe.py | sweep --dataset / | sweep --dataset caf\udce9
sweep TINY --out caf\udce9 | sweep TINY --out caf\udce9 --resume
sweep TINY --out=~/x | sweep TINY --devices 1024 | sweep TINY --devices 99999999999
sweep TINY --vmap 99999999999
sweep TINY --axis seed=linear:0:99999:100000 --dry-run
sweep TINY --axis eps=random:1e-9:1:999999999999 | sweep TINY --out /dev/null
sweep TINY --out /dev/full | sweep TINY --out /proc/x | sweep TINY --out run --resume
sweep TINY --out pipe | report caf\udce9 | report run --out caf\udce9 | report pipe
apply denoise --run pipe | apply caf\udce9 | apply pipe.py
reproduce digits --only caf\udce9 | data prepare caf\udce9
data prepare pipe --from pipe"""


def surroundings():
    """What the words mean, in this folder."""
    rng = np.random.default_rng(0)
    np.savez("tiny.npz", x=rng.random((200, 5), np.float32), y=np.arange(200) % 2)
    os.mkdir("dir")
    for name in ("pipe", "pipe.npz", "pipe.py"):
        os.mkfifo(name)
    os.symlink("circle", "circle")
    os.symlink("nowhere", "link.npz")
    socket.socket(socket.AF_UNIX).bind("sock.npz")
    for name, text in {
        "text.npz": "1,2",
        "text.py": "x = 1",
        "empty.py": "",
        "broken.py": "(",
        "exit.py": "import sys; sys.exit(0)",
    }.items():
        with open(name, "w") as file:
            file.write(text)


def words(rng, name):
    """Words of one command."""
    if name == "report":
        given = [
            rng.choice(["run", "dir", "", *NAMES]) for _ in range(rng.randrange(3))
        ]
        return given + rng.choice(
            [[], ["--out", rng.choice(NAMES)], ["--out"], ["--x"]]
        )
    if name == "data":
        of = ["--from", rng.choice(NAMES)] * rng.randrange(2)
        return rng.choice(
            [["list"], [], ["prepare"], ["prepare", rng.choice(NAMES), *of]]
        )
    if name == "reproduce":
        return [rng.choice(["digits", "é", ""]), "--only", rng.choice(NAMES[5:])]
    if name == "apply":
        out = [rng.choice(["denoise", "anomaly", "sample_quality", "all", *NAMES])]
        flags = "run where dataset train set out latent-dim seed devices".split()
        for flag in rng.sample(flags, rng.randrange(1, 5)):
            out += [f"--{flag}", rng.choice([*NAMES, *NUMBERS, *AXES])]
        return out if "--run" in out else [*out, "--run", rng.choice(["run", "dir"])]
    out = list(NARROW) if rng.random() < 0.8 else []
    for _ in range(rng.randrange(1, 4)):
        flag = rng.choice(FLAGS)
        values = {"axis": AXES}.get(flag, NUMBERS + NAMES)
        given = [rng.choice(values) for _ in range(rng.choice([0, 1, 1, 1, 1, 2]))]
        joined = given and rng.random() < 0.2
        out += [f"--{flag}={given[0]}"] if joined else [f"--{flag}", *given]
    return out if rng.random() < 0.2 else [*out, "--dry-run"]


def plain(given):
    """Words as they are shown."""
    return " ".join(repr(word)[1:-1][:60] or "''" for word in given)


def apart(name, given):
    """The answer of a process of its own."""
    module = "aejax.data" if name == "data" else f"experiments.{name}"
    limit = f'ulimit -v {common.MEMORY >> 10}; exec "$@"'
    command = ["sh", "-c", limit, "-", sys.executable, "-m", module]
    command += map(os.fsencode, given)
    environment = os.environ | {"PYTHONPATH": str(common.ROOT), "HOME": os.getcwd()}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"more than {SECONDS} s", "", ""
    return done.returncode, "", done.stderr.decode(errors="replace")


def main():
    campaign = common.Campaign("commands")
    os.chdir(campaign.folder)
    surroundings()
    from aejax.data import __main__ as data
    from experiments import apply, environment, report, reproduce, sweep

    environment.start(1, 2)
    mains = {"sweep": sweep, "report": report, "apply": apply, "reproduce": reproduce}
    mains = {n: m.main for n, m in mains.items()} | {"data": data.main}
    code, _, err = common.answer(sweep.main, [*NARROW, "--out", "run"], SECONDS)
    campaign.note("a good one", common.fault_of(code, err, allowed=(0,)))
    kept = set(os.listdir())
    before = json.loads(open("run/run.json").read())["sealed"]
    weights = {"sweep": 10, "report": 2, "apply": 3, "reproduce": 1, "data": 1}

    def record(name, given, answer):
        # 1 of a sweep: its report failed, as that of a run on 4 examples may.
        fault = common.fault_of(answer[0], answer[2])
        if not fault and json.loads(open("run/run.json").read())["sealed"] != before:
            fault = "the run is another"
        campaign.note(f"{name} {plain(given)}", fault)
        for left in set(os.listdir()) - kept:
            shutil.rmtree(left) if os.path.isdir(left) else os.remove(left)

    for line in APART.replace("\n", " | ").split(" | "):
        name, *given = line.replace("TINY", " ".join(NARROW)).split(" ")
        if campaign.chosen(f"{name} {plain(given)}"):
            record(name, given, apart(name, given))
    common.limit_memory()
    for _ in range(COUNT - campaign.tried):
        name = campaign.rng.choices(list(weights), weights.values())[0]
        given = [word.strip("'") for word in words(campaign.rng, name)]
        if campaign.chosen(f"{name} {plain(given)}"):
            record(name, given, common.answer(mains[name], given, SECONDS))
    return campaign.end()


if __name__ == "__main__":
    sys.exit(main())
