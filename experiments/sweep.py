"""Trains a sweep from the command line: ``python -m experiments.sweep --help``."""

import datetime
import sys
import time
from collections.abc import Sequence
from typing import Any

from aejax import config, tracking
from experiments import ending, environment, options, workers


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Returns:
      0 when all is done; 1 if only the report failed; 2 after bad input, described in
      one paragraph on stderr; 130 when interrupted.
    """
    return environment.run(_sweep, argv)


def _sweep(argv: list[str]) -> int:
    began = time.monotonic()
    flags = options.parse(argv)
    if flags.list:
        from experiments import listing

        listing.show_all(flags.markdown)
        return 0
    base, axes = options.settings(flags)
    options.check(flags)
    now = datetime.datetime.now(datetime.UTC)
    out = flags.out or f"runs/{flags.preset}-{now:%Y%m%d-%H%M%S}"
    share = workers.share(flags)
    workers.resources(flags)
    tracker = _tracker(flags, base, axes, out)
    threads = options.threads(flags)
    ours = None if flags.engine == "local" else workers.variables(threads)
    devices = environment.start(
        options.members(axes) * base.data_parallel, flags.devices, threads
    )

    # Only now: these import jax, which has to start as the line above says.
    from aejax import progress
    from aejax.report import table
    from aejax.runs import faults, halving, plan
    from aejax.runs import sweep as sweeps
    from experiments import listing, tables

    base = plan.without_unused(base, axes)  # in it they are the preset's alone
    planned = plan.plan(base, axes)
    if rule := _halving(flags):
        halving.check(rule, base, axes, planned.populations)
    if flags.dry_run:
        listing.show_plan(planned, devices, flags.vmap)
        faults.check_memory(planned.populations, devices)
        return 0
    title = f"{progress.title(planned)} on {len(devices)} × {devices[0].device_kind}"
    display = progress.Progress(progress.names(planned), f"{title}, to {out}")
    with tracker:
        with environment.interruptible() as should_stop, display:
            asked = dict(config=base, axes=axes, out=out, planned=planned)
            asked |= dict(on_event=display.on_event, should_stop=should_stop)
            asked |= dict(resume=flags.resume, vmap=flags.vmap)
            asked["command"] = options.command(argv)
            if share:
                done = workers.train_share(share, devices, asked)
                return _share(share, done, argv, out)
            asked |= dict(on_rows=tracker.on_rows)
            if flags.engine == "local":
                run = sweeps.sweep(devices=devices, halving=rule, **asked)
            else:
                run = workers.sweep(flags, rule, asked, ours)
        if not run.info["finished"]:
            return ending.stopped(argv, out)
        rows = table.final(table.read([run]))
        tables.show(*rows, "test metrics, mean over n seeds")
        code = ending.report(run, began)
        tracker.finish(run)
        return code


def _halving(flags: Any) -> Any:
    """The rule of --halving, or None."""
    if flags.halving is None:
        return None
    from aejax.runs import halving

    return halving.Halving(
        flags.halving, flags.rungs, flags.by, flags.across, flags.audit
    )


def _tracker(flags: Any, base: config.Config, axes: dict[str, list], out: str) -> Any:
    """The Tracker of --track, which may name none.

    Raises:
      InputError: it is unknown, not installed, or of one share.
    """
    if flags.track and flags.shard:
        raise config.InputError(
            "--track needs the rows of all members, and a share has its own alone: "
            "leave out --shard, or use --engine"
        )
    # Of an engine rows come as shards end, which part the seeds of a setting.
    seeds = None if flags.engine == "local" else len(axes.get("seed", "1"))
    return tracking.Tracker(flags.track, base, axes, out=out, seeds=seeds)


def _share(part: tuple[int, int], done: bool, argv: list[str], out: str) -> int:
    """Says what is left to do when a share has ended."""
    number, count = part
    if done:
        print(
            f"share {number} of 0 … {count - 1} is done; when all are, this makes the "
            f"tables:\npython -m experiments.merge {out}"
        )
        return 0
    return ending.stopped(argv, out)


if __name__ == "__main__":
    sys.exit(main())
