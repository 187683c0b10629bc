"""PyTorch: a plain, well-written loop on tensors in memory; one model at a time."""

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from experiments import workloads


class Dense(nn.Module):
    """VAE of one or more hidden layers."""

    def __init__(self, size: int, hidden: tuple[int, ...], latent: int):
        super().__init__()
        self.encoder = _layers((size, *hidden), last=True)
        self.code = nn.Linear(hidden[-1], 2 * latent)
        self.decoder = _layers((latent, *hidden[::-1], size), last=False)

    def forward(self, x):
        mu, logvar = self.code(self.encoder(x.flatten(1))).chunk(2, 1)
        return self.decoder(_draw(mu, logvar)), mu, logvar


class Conv(nn.Module):
    """VAE of 4×4 convolutions of stride 2 and one dense layer, mirrored."""

    def __init__(self, shape: tuple[int, ...], hidden: tuple[int, ...], latent: int):
        super().__init__()
        *channels, width = hidden
        height, breadth, colours = shape
        side = 2 ** len(channels)
        small = (channels[-1], height // side, breadth // side)
        flat = small[0] * small[1] * small[2]
        encoder: list[nn.Module] = []
        for a, b in zip((colours, *channels), channels, strict=False):
            encoder += [nn.Conv2d(a, b, 4, 2, 1), nn.ReLU()]
        self.encoder = nn.Sequential(
            *encoder, nn.Flatten(), nn.Linear(flat, width), nn.ReLU()
        )
        self.code = nn.Linear(width, 2 * latent)
        back = (*channels[::-1], colours)
        decoder = [nn.Linear(latent, width), nn.ReLU(), nn.Linear(width, flat)]
        decoder += [nn.Unflatten(1, small)]
        for a, b in zip(back, back[1:], strict=False):
            decoder += [nn.ReLU(), nn.ConvTranspose2d(a, b, 4, 2, 1)]
        self.decoder = nn.Sequential(*decoder)

    def forward(self, x):
        mu, logvar = self.code(self.encoder(x)).chunk(2, 1)
        return self.decoder(_draw(mu, logvar)), mu, logvar


class Recurrent(nn.Module):
    """Autoencoder of two nn.GRU; the code starts the decoder and enters each step."""

    def __init__(self, shape: tuple[int, ...], hidden: tuple[int, ...], latent: int):
        super().__init__()
        (size,), (self.steps, features) = hidden, shape
        self.encoder = nn.GRU(features, size, batch_first=True)
        self.code = nn.Linear(size, latent)
        self.first = nn.Linear(latent, size)
        self.decoder = nn.GRU(latent, size, batch_first=True)
        self.out = nn.Linear(size, features)

    def forward(self, x):
        z = self.code(self.encoder(x)[1][0])
        inputs = z[:, None].expand(-1, self.steps, -1)
        return self.out(self.decoder(inputs, self.first(z)[None])[0]), None, None


def _layers(widths: tuple[int, ...], last: bool) -> nn.Sequential:
    out: list[nn.Module] = []
    for a, b in zip(widths, widths[1:], strict=False):
        out += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*(out if last else out[:-1]))


def _draw(mu, logvar):
    return mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)


def loss(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """-ELBO, or squared error of the autoencoder: nats summed, mean over the batch."""
    x_hat, mu, logvar = model(x)
    if mu is None:
        return 0.5 * (x_hat - x).square().sum() / len(x)
    flat, logits = x.flatten(1), x_hat.flatten(1)
    nll = functional.binary_cross_entropy_with_logits(logits, flat, reduction="sum")
    kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum()
    return (nll + kl) / len(x)


def build(workload: workloads.Workload) -> nn.Module:
    """The workload's model, of its largest latent size."""
    shape, hidden = workload.shape, workload.hidden
    latent = max(workload.latent)
    if workload.network == "mlp":
        return Dense(shape[0] * shape[1] * shape[2], hidden, latent)
    kind = {"conv": Conv, "recurrent": Recurrent}[workload.network]
    return kind(shape, hidden, latent)


def tensors(workload: workloads.Workload) -> torch.Tensor:
    """The data, float32, channels first, on the device."""
    x = torch.from_numpy(workload.data())
    if x.dtype == torch.uint8:
        x = x.float() / 255
    if x.dim() == 4:
        x = x.permute(0, 3, 1, 2).contiguous()
    return x.to(device())


def device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def batches(x: torch.Tensor, size: int) -> Iterator[torch.Tensor]:
    """Endless shuffled batches of tensors in memory."""
    while True:
        order = torch.randperm(len(x), device=x.device)
        for start in range(0, len(x) - size + 1, size):
            yield x[order[start : start + size]]


def prepare(
    workload: workloads.Workload,
    folder: pathlib.Path,
    batches: Callable = batches,
) -> tuple[Callable[[], int], dict[str, Any]]:
    """See the package."""
    torch.manual_seed(0)
    torch.backends.cudnn.allow_tf32 = False  # float32 as ours
    model = build(workload).to(device())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    stream = batches(tensors(workload), workload.batch)

    def repeat() -> int:
        for _ in range(workload.steps):
            optimizer.zero_grad(set_to_none=True)
            loss(model, next(stream)).backward()
            optimizer.step()
        if device().type == "cuda":
            torch.cuda.synchronize()
        return workload.steps

    repeat()
    return repeat, {
        "version": torch.__version__,
        "device": device().type,
        "threads": torch.get_num_threads(),
        "compile_s": 0.0,
    }
