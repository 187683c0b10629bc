"""MLflow: its own SQLite store in the run's directory, or that of MLFLOW_TRACKING_URI.

mlflow-skinny is enough, with what SQLite needs: MLflow has given up its store of plain
files.
"""

import csv
import io
import os
import pathlib
import time
from collections.abc import Sequence

from aejax import tracking
from aejax.tracking import series

# It tells its makers of every run otherwise, and prints how it makes its tables.
with tracking.variables(
    MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true", MLFLOW_LOGGING_LEVEL="WARNING"
):
    import mlflow
    from mlflow import entities

EXPERIMENT = "aejax"
BATCH = 1000  # metrics of one call, at most


class Mlflow:
    """A run of the experiment ``aejax``; metrics are split/metric/setting."""

    def __init__(self, about: tracking.About):
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        place = about.dir.resolve() / "mlflow"
        files = None if uri else (place / "artifacts").as_uri()
        if not uri and set("%?") & set(str(place)):
            raise ValueError(f"% or ? in '{place}', which its SQLite store takes amiss")
        if not uri:
            place.mkdir(parents=True, exist_ok=True)
        # Not set_tracking_uri, which is of the whole process.
        self._client = mlflow.MlflowClient(uri or f"sqlite:///{place / 'mlflow.db'}")
        if about.run:
            self.run = about.run
            self._client.update_run(self.run, "RUNNING")
            return
        known = self._client.get_experiment_by_name(EXPERIMENT)
        number = known and known.experiment_id
        number = number or self._client.create_experiment(EXPERIMENT, files)
        self.run = self._client.create_run(number, run_name=about.name).info.run_id
        params = [entities.Param(n, str(v)) for n, v in about.facts.items()]
        self._client.log_batch(self.run, params=params)

    def log(self, points: Sequence[series.Point]) -> None:
        """Metrics split/metric/setting, split_interval/metric_low/setting, …"""
        now = int(1000 * time.time())
        metrics = [
            entities.Metric(f"{name}/{p.setting}", value, now, p.step)
            for p in points
            for name, value in p.values()
        ]
        for i in range(0, len(metrics), BATCH):
            self._client.log_batch(self.run, metrics=metrics[i : i + BATCH])

    def table(self, lines: Sequence[series.Line]) -> None:
        """``settings.csv``, which its page shows as a table."""
        columns, rows = series.cells(lines)
        text = io.StringIO()
        csv.writer(text).writerows([columns, *rows])
        self._client.log_text(self.run, text.getvalue(), "settings.csv")

    def files(self, paths: Sequence[pathlib.Path]) -> None:
        """``report.html`` and ``figures/``; those of before are replaced."""
        for path in paths:
            folder = tracking.place(path).rpartition("/")[0] or None
            self._client.log_artifact(self.run, str(path), folder)

    def close(self, finished: bool) -> None:
        """Says how it ended."""
        self._client.set_terminated(self.run, "FINISHED" if finished else "KILLED")


open_run = Mlflow
