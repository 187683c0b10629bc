"""Panels of tasks as pictures: texts that stay inside."""

from typing import NamedTuple

import numpy as np

from aejax import tasks
from aejax.tasks import panels


def test_texts_of_neighbouring_pictures_stay_inside(drawn):
    images = np.zeros((8, 28, 28, 1))
    rows = [("denoising + bp", "25.7 dB", images)] * 6
    names = ["a rather long name"] * 5
    grid = panels.Grid("table", np.arange(10.0).reshape(5, 2), names, ["×2", "×4"])
    pictures = [panels.Images("×2", rows), panels.Images("×4", rows), grid]
    fig = drawn(tasks.Result([], pictures, ""))
    boxes = [t.get_window_extent() for ax in fig.axes[:2] for t in ax.texts]
    assert min(box.x0 for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= fig.bbox.x1
    left, right = boxes[:12], boxes[12:]
    assert max(box.x1 for box in left) < min(box.x0 for box in right)


def test_a_task_may_bring_its_own_panel(drawn):
    class Histogram(NamedTuple):
        title: str
        values: np.ndarray

        def draw(self, ax, color):
            ax.hist(self.values, bins=8)

    panel = Histogram("codes", np.random.default_rng(0).normal(size=100))
    figure = drawn(tasks.Result([], [panel], ""))
    (ax,) = [ax for part in figure.subfigs for ax in part.axes]
    assert ax.get_title("left") == "codes" and len(ax.patches) == 8
