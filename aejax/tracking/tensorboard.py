"""TensorBoard, written by tensorboardX: a run in it is a setting of the sweep.

So its charts lay the settings of one metric over each other. Files it takes none: the
report lies beside its folder.
"""

import pathlib
from collections.abc import Sequence

import tensorboardX
from tensorboardX import summary

from aejax import tracking
from aejax.tracking import series

# What has a chart with its band, under "Custom scalars".
BANDS = ("loss", "nll", "mse", "error_rate", "kl")


class Tensorboard:
    """Event files in ``tensorboard/SETTING/`` of the run's directory."""

    run = None  # the folder is it

    def __init__(self, about: tracking.About):
        self._dir, self._again = about.dir / "tensorboard", about.again
        self._writers: dict[str, tensorboardX.SummaryWriter] = {}

    def _writer(
        self, setting: str, metrics: Sequence[str] = ()
    ) -> tensorboardX.SummaryWriter:
        if setting not in self._writers:
            path: pathlib.Path = self._dir / setting
            # What another sweep has left there is hidden from its first step on.
            new = not path.is_dir()
            purge = None if new or self._again else 0
            mark = f".{tracking.token()}"  # files of one second have one name else
            writer = tensorboardX.SummaryWriter(
                str(path), purge_step=purge, filename_suffix=mark
            )
            self._writers[setting] = writer
            if new or not self._again:
                charts = {name: _margin(name) for name in BANDS if name in metrics}
                writer.add_custom_scalars({"valid": charts})
        return self._writers[setting]

    def log(self, points: Sequence[series.Point]) -> None:
        """Scalars split/metric, split_interval/metric_low and …_high."""
        for setting in dict.fromkeys(p.setting for p in points):
            some = [p for p in points if p.setting == setting]
            writer = self._writer(setting, [p.metric for p in some])
            for point in some:
                for tag, value in point.values():
                    writer.add_scalar(tag, value, point.step)
            writer.flush()

    def table(self, lines: Sequence[series.Line]) -> None:
        """The hparams dashboard; its metrics are the curves of the test split."""
        for line in lines:
            metrics = {f"test/{name}": value for name, value in line.metrics.items()}
            events = self._writer(line.setting).file_writer
            for part in summary.hparams(line.axes, metrics):
                events.add_summary(part)

    def files(self, paths: Sequence[pathlib.Path]) -> None:
        """None: they lie beside the folder."""

    def close(self, finished: bool) -> None:
        """Closes the event files."""
        for writer in self._writers.values():
            writer.close()


def _margin(metric: str) -> list:
    ends = (f"valid_interval/{metric}_{end}" for end in ("low", "high"))
    return ["Margin", [f"valid/{metric}", *ends]]


open_run = Tensorboard
