#!/usr/bin/env bash
# Measures aejax on the accelerator of this machine, in nine minutes at most:
#
#   bash experiments/accelerator.sh [OUT] [--tiny] [--only PART …] [--deadline SECONDS]
#
# from a copy of the repository; nothing is installed. It needs a python3 with jax (0.10
# or newer, built for the accelerator), flax, optax, orbax-checkpoint, NumPy, jaxtyping,
# filelock and pandas. With scikit-learn digits are real, without they are random; with
# PyTorch it is timed beside us. Where one of those above is missing and nothing can be
# fetched, fetch it elsewhere,
#   pip download --only-binary=:all: -d wheels jaxtyping filelock pandas
# and, with the copy: pip install --no-index --no-deps --target site wheels/*.whl
#   PYTHONPATH=site bash experiments/accelerator.sh
#
# Numbers go to OUT/accelerator-DEVICE.json as soon as they are known (OUT is $OUT, or
# experiments/results), the summary to the screen. --only measures parts of it again.
# --tiny (or AEJAX_TINY=1) is a trial of three minutes on any CPU; it says nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
exec python3 -m experiments.accelerator "$@"
