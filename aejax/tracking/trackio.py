"""trackio: on this machine alone, in its own folder (TRACKIO_DIR); ``trackio show``."""

import contextlib
import io
import pathlib
from collections.abc import Sequence

from aejax import tracking
from aejax.tracking import series

PROJECT = "aejax"
# It asks the hub for the name of who is logged in, and these would send the rows there.
LOCAL = dict.fromkeys(("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "TRACKIO_WEBHOOK_URL"))

with tracking.variables(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1"):
    import trackio


class Trackio:
    """A run of the project ``aejax``; metrics are split/metric/setting."""

    def __init__(self, about: tracking.About):
        # Its runs have names alone: two sweeps of one name would be one run.
        self.run = about.run or f"{about.name}-{tracking.token()}"
        with tracking.variables(**LOCAL), _quiet():
            trackio.init(
                PROJECT,
                self.run,
                config=dict(about.facts),
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )

    def log(self, points: Sequence[series.Point]) -> None:
        """Metrics split/metric/setting, split_interval/metric_low/setting, …"""
        for step, values in series.by_step(points).items():
            trackio.log(values, step)

    def table(self, lines: Sequence[series.Line]) -> None:
        """The table ``settings``."""
        columns, rows = series.cells(lines)
        with _quiet():
            trackio.log({"settings": trackio.Table(columns=columns, data=rows)})

    def files(self, paths: Sequence[pathlib.Path]) -> None:
        """One artifact ``report`` of all of them."""
        report = trackio.Artifact(f"report-{self.run}", "report")
        for path in paths:
            report.add_file(str(path), tracking.place(path))
        if paths:
            with _quiet():
                trackio.log_artifact(report)

    def close(self, finished: bool) -> None:
        """Ends the run."""
        with _quiet():
            trackio.finish()


def _quiet() -> contextlib.AbstractContextManager:
    """Without its lines, in the midst of our progress."""
    return contextlib.redirect_stdout(io.StringIO())


open_run = Trackio
