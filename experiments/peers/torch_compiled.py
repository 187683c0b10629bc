"""PyTorch, one model: its step compiled, Adam fused, threads as many as are faster."""

import pathlib
import time
from collections.abc import Callable
from typing import Any

import torch

from experiments import workloads
from experiments.peers import torch as plain


def prepare(
    workload: workloads.Workload, folder: pathlib.Path
) -> tuple[Callable[[], int], dict[str, Any]]:
    """See the package."""
    torch.manual_seed(0)
    torch.backends.cudnn.allow_tf32 = False  # float32 as ours
    model = plain.build(workload).to(plain.device())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    stream = plain.batches(plain.tensors(workload), workload.batch)

    def loss(x):
        return plain.loss(model, x)

    compiled = torch.compile(loss)

    def steps(count: int) -> int:
        for _ in range(count):
            optimizer.zero_grad(set_to_none=True)
            last = compiled(next(stream))
            last.backward()
            optimizer.step()
        last.item()  # waits
        return count

    began = time.perf_counter()
    steps(3)  # compiles
    spent = time.perf_counter() - began
    threads = fastest_threads(lambda: steps(max(3, workload.steps // 20)))
    return lambda: steps(workload.steps), {
        "version": torch.__version__,
        "device": plain.device().type,
        "threads": threads,
        "compile_s": spent,
    }


def fastest_threads(some: Callable[[], Any]) -> int:
    """Sets torch to one thread or to all, whichever does ``some`` sooner."""
    cores, spent = torch.get_num_threads(), {}
    for count in {1, cores}:
        torch.set_num_threads(count)
        some()  # another number of threads may compile anew
        began = time.perf_counter()
        some()
        spent[count] = time.perf_counter() - began
    torch.set_num_threads(min(spent, key=spent.get))
    return torch.get_num_threads()
