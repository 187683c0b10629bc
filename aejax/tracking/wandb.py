"""Weights & Biases: offline, unless its user is logged in or WANDB_MODE says otherwise.

``wandb sync`` sends an offline run. A resumed one is a further folder of the same id.
"""

import netrc
import os
import pathlib
import urllib.parse
from collections.abc import Sequence

import wandb

from aejax import tracking
from aejax.tracking import series

HOST = "https://api.wandb.ai"


class Wandb:
    """A run of the project ``aejax``; metrics are split/metric/setting."""

    def __init__(self, about: tracking.About):
        self.run = about.run or tracking.token()
        about.dir.mkdir(parents=True, exist_ok=True)
        # Our progress is not its console, nor our user's code and machine its business.
        quiet = dict.fromkeys(("disable_git", "disable_code", "silent"), True)
        with tracking.variables(WANDB_ERROR_REPORTING="false", WANDB_SILENT="true"):
            self._run = wandb.init(
                project="aejax",
                name=about.name,
                id=self.run,
                resume="allow",
                dir=str(about.dir),
                mode=mode(),
                config=dict(about.facts),
                reinit="create_new",
                settings=wandb.Settings(console="off", **quiet),
            )
        # Its own steps only grow, and the next population begins at 0 again.
        self._run.define_metric("*", step_metric="step")

    def log(self, points: Sequence[series.Point]) -> None:
        """Metrics split/metric/setting, split_interval/metric_low/setting, …"""
        for step, values in series.by_step(points).items():
            self._run.log(values | {"step": step})

    def table(self, lines: Sequence[series.Line]) -> None:
        """The table ``settings``."""
        columns, rows = series.cells(lines)
        mixed = wandb.Table(columns=columns, data=rows, allow_mixed_types=True)
        self._run.log({"settings": mixed})

    def files(self, paths: Sequence[pathlib.Path]) -> None:
        """One artifact ``report-ID`` of all of them."""
        report = wandb.Artifact(f"report-{self.run}", "report")
        for path in paths:
            report.add_file(str(path), tracking.place(path))
        if paths:
            self._run.log_artifact(report)

    def close(self, finished: bool) -> None:
        """Ends the run."""
        self._run.finish(exit_code=int(not finished))


def mode() -> str:
    """That of WANDB_MODE, else online where there is a key, as of ``wandb login``."""
    if asked := os.environ.get("WANDB_MODE"):
        return asked
    if os.environ.get("WANDB_API_KEY"):
        return "online"
    host = urllib.parse.urlparse(os.environ.get("WANDB_BASE_URL", HOST)).hostname
    try:
        known = netrc.netrc(os.environ.get("NETRC")).hosts
    except (OSError, netrc.NetrcParseError):
        known = {}
    return "online" if host in known else "offline"


open_run = Wandb
