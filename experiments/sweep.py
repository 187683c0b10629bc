"""Trains a sweep from the command line: ``python -m experiments.sweep --help``."""

import datetime
import sys
import time
from collections.abc import Sequence
from typing import Any

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
    threads = options.threads(flags)
    ours = None
    if flags.engine != "local":
        ours = workers.variables(threads)
    devices = environment.start(
        options.members(axes) * base.data_parallel, flags.devices, threads
    )

    # Only now: these import jax, which has to start as the line above says.
    from aejax.report import table
    from aejax.runs import faults, halving, plan
    from aejax.runs import sweep as sweeps
    from experiments import listing, progress, tables

    base = plan.without_unused(base, axes)  # in it they are the preset's alone
    planned = plan.plan(base, axes)
    if rule := _halving(flags):
        halving.check(rule, base, axes, planned.populations)
    if flags.dry_run:
        listing.show_plan(planned, devices, flags.vmap)
        faults.check_memory(planned.populations, devices)
        return 0
    members = progress.count(planned.count, "autoencoder")
    programs = progress.count(len(planned.populations), "program")
    where = f"{len(devices)} × {devices[0].device_kind}"
    title = f"{members} in {programs} on {where}, to {out}"
    display = progress.Progress(progress.names(planned), title)
    with environment.interruptible() as should_stop, display:
        asked = dict(config=base, axes=axes, out=out, planned=planned)
        asked |= dict(on_event=display.on_event, should_stop=should_stop)
        asked |= dict(resume=flags.resume, vmap=flags.vmap)
        asked |= dict(command=options.command(argv))
        if share:
            return _share(share, workers.train_share(share, devices, asked), argv, out)
        if flags.engine == "local":
            run = sweeps.sweep(devices=devices, halving=rule, **asked)
        else:
            run = workers.sweep(flags, rule, asked, ours)
    if not run.info["finished"]:
        return ending.stopped(argv, out)
    rows = table.final(table.read([run]))
    tables.show(*rows, "test metrics, mean over n seeds")
    return ending.report(run, began)


def _halving(flags: Any) -> Any:
    """The rule of --halving, or None."""
    if flags.halving is None:
        return None
    from aejax.runs import halving

    return halving.Halving(
        flags.halving, flags.rungs, flags.by, flags.across, flags.audit
    )


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
