"""Trains a sweep from the command line: ``python -m experiments.sweep --help``."""

import datetime
import sys
import time
from collections.abc import Sequence
from typing import Any

from aejax import config
from experiments import environment, options


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Returns:
      0 when all is done; 1 if only the report failed; 2 after bad input, described in
      one paragraph on stderr; 130 when interrupted.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        flags = options.parse(argv)
        with environment.warnings_as_lines():
            return _list(flags) if flags.list else _sweep(flags, argv)
    except SystemExit as end:  # tyro: 0 after --help, 2 after a message of its own
        return end.code
    except config.InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _list(flags: Any) -> int:
    import rich.console

    from experiments import listing

    listing.show_all(rich.console.Console(), flags.markdown)
    return 0


def _sweep(flags: Any, argv: Sequence[str]) -> int:
    began = time.monotonic()
    base, axes = options.settings(flags)
    now = datetime.datetime.now(datetime.UTC)
    out = flags.out or f"runs/{flags.preset}-{now:%Y%m%d-%H%M%S}"
    environment.prepare_xla_flags()
    devices = environment.start(options.lanes(axes), flags.devices)

    # Only now: these import jax, which reads the flags above when it starts.
    import rich.console

    from aejax import execute, plan
    from experiments import interrupt, listing, progress, tables

    planned = plan.plan(base, axes)
    if flags.dry_run:
        listing.show_plan(planned, devices, flags.lane_batch)
        return 0
    console = rich.console.Console()
    lanes = progress.count(sum(len(g.lanes) for g in planned), "autoencoder")
    programs = progress.count(len(planned), "program")
    where = f"{len(devices)} × {devices[0].device_kind}"
    title = f"{lanes} in {programs} on {where}, to {out}"
    with (
        progress.display(console, planned, title) as shown,
        interrupt.Interrupts(shown.say, shown.leave) as interrupts,
    ):
        run = execute.sweep(
            base,
            axes,
            out=out,
            resume=flags.resume,
            devices=devices,
            lane_batch=flags.lane_batch,
            on_event=shown.on_event,
            should_stop=interrupts.requested,
            planned=planned,
            command=options.command(argv),
        )
    if not run.info["finished"]:
        print(
            "stopped; this goes on from the last checkpoint:\n"
            f"{options.resume_command(argv, out)}"
        )
        return 130
    headers, rows = tables.results(run)
    tables.show(console, headers, rows, "test metrics, mean over n seeds")
    return _report(run, console, began)


def _report(run: Any, console: Any, began: float) -> int:
    """Writes the report; whatever is wrong with it, the run itself is safe."""
    again = f"python -m experiments.report {run.dir}"
    try:
        from aejax import report

        page, findings = report.write([run]), report.findings([run])
    except Exception as error:  # plotting can fail in any way
        print(f"results: {run.dir}", flush=True)
        print(
            f"error: the report was not made ({type(error).__name__}: {error}); the "
            f"results are complete, and this repeats it: {again}",
            file=sys.stderr,
        )
        return 1
    spent = time.monotonic() - began
    for text in findings:
        wide = not console.is_terminal  # no line breaks where a program reads
        console.print(text, highlight=False, markup=False, soft_wrap=wide)
    print(
        f"\nresults: {run.dir}\nreport:  {page}\n"
        f"{spent:.0f} s in all, {run.info['train_s']:.0f} s of them training"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
