"""Trains a sweep from the command line: ``python -m experiments.sweep --help``."""

import datetime
import sys
import time
from collections.abc import Sequence
from typing import Any

from experiments import environment, options, workers


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Returns:
      0 when all is done; 1 if only the report failed; 2 after bad input, described in
      one paragraph on stderr; 130 when interrupted.
    """
    return environment.run(_sweep, argv)


def _sweep(argv: list[str]) -> int:
    began = time.monotonic()
    argv = options.renamed(argv)
    flags = options.parse(argv)
    if flags.list:
        from experiments import listing

        listing.show_all(flags.markdown)
        return 0
    base, axes = options.settings(flags)
    now = datetime.datetime.now(datetime.UTC)
    out = flags.out or f"runs/{flags.preset}-{now:%Y%m%d-%H%M%S}"
    share = workers.share(flags)
    workers.resources(flags)
    threads = options.threads(flags)
    ours = None
    if flags.engine != "local":
        ours = workers.variables(threads)
    devices = environment.start(options.members(axes), flags.devices, threads)

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
    display = progress.Progress(
        planned, f"{members} in {programs} on {where}, to {out}"
    )
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
            run = workers.sweep(flags, asked, ours)
    if not run.info["finished"]:
        print(
            "stopped; this goes on from the last checkpoint:\n"
            f"{options.resume_command(argv, out)}"
        )
        return 130
    rows = table.final(table.read([run]))
    tables.show(*rows, "test metrics, mean over n seeds")
    return _report(run, began)


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
    print(
        "stopped; this goes on from the last checkpoint:\n"
        f"{options.resume_command(argv, out)}"
    )
    return 130


def _report(run: Any, began: float) -> int:
    """Writes the report; whatever is wrong with it, the run itself is safe."""
    try:
        from aejax import report

        page, findings = report.write([run]), report.findings([run])
    except Exception as error:  # plotting can fail in any way
        print(f"results: {run.dir}", flush=True)
        print(
            f"error: the report was not made ({type(error).__name__}: {error}); the "
            "results are complete, and this repeats it: python -m experiments.report "
            f"{run.dir}",
            file=sys.stderr,
        )
        return 1
    spent = time.monotonic() - began
    print("", *findings, sep="\n")
    print(
        f"\nresults: {run.dir}\nreport:  {page}\n"
        f"{spent:.0f} s in all, {run.info['train_s']:.0f} s of them training"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
