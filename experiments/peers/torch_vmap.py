"""PyTorch, a population at a time: ``torch.func.vmap`` under ``torch.compile``.

What a careful user of PyTorch writes: parameters of all members in stacked tensors, one
compiled function for their losses and gradients, one Adam over the stacks, which is
elementwise and so each member's own. Every member has its own order of the examples.
"""

import pathlib
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import func

from experiments import workloads
from experiments.peers import torch as plain
from experiments.peers import torch_compiled


def prepare(
    workload: workloads.Workload, folder: pathlib.Path
) -> tuple[Callable[[], int], dict[str, Any]]:
    """See the package."""
    torch.manual_seed(0)
    torch.backends.cudnn.allow_tf32 = False  # float32 as ours
    device, members = plain.device(), len(workload.latent)
    models = [plain.build(workload).to(device) for _ in range(members)]
    stacked, _ = func.stack_module_state(models)
    params = {n: p.detach() for n, p in stacked.items()}
    optimizer = torch.optim.Adam(list(params.values()), 1e-3, fused=True)
    blank = models[0].to("meta")
    del models

    def loss(params, x):
        return plain.loss(lambda x: func.functional_call(blank, params, (x,)), x)

    each = func.vmap(func.grad_and_value(loss), randomness="different")
    gradients = torch.compile(each)
    stream = _batches(plain.tensors(workload), workload.batch, members)

    def steps(count: int) -> int:
        for _ in range(count):
            grads, _ = gradients(params, next(stream))
            for name, p in params.items():
                p.grad = grads[name]
            optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return count * members

    began = time.perf_counter()
    steps(3)  # compiles
    spent = time.perf_counter() - began
    some = min(workload.steps, 20)
    threads = torch_compiled.fastest_threads(lambda: steps(some))
    return lambda: steps(workload.steps), {
        "version": torch.__version__,
        "device": device.type,
        "threads": threads,
        "compile_s": spent,
    }


def _batches(x: torch.Tensor, size: int, members: int):
    """Endless batches (members, size, …), each member's shuffled for itself."""
    while True:
        order = torch.rand(members, len(x), device=x.device).argsort(1)
        for start in range(0, len(x) - size + 1, size):
            yield x[order[:, start : start + size]]
