"""The same PyTorch loop fed by its DataLoader, as most code is written."""

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils import data

from experiments import workloads
from experiments.peers import torch as plain


def batches(x: torch.Tensor, size: int) -> Iterator[torch.Tensor]:
    """Endless shuffled batches of a DataLoader in the same process."""
    loader = data.DataLoader(
        data.TensorDataset(x.cpu()), size, shuffle=True, drop_last=True
    )
    while True:
        for (batch,) in loader:
            yield batch.to(x.device)


def prepare(
    workload: workloads.Workload, folder: pathlib.Path
) -> tuple[Callable[[], int], dict[str, Any]]:
    """See the package."""
    return plain.prepare(workload, folder, batches)
