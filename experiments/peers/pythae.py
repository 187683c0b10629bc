"""pythae: its VAE and its own trainer on the same dense architecture."""

import importlib.metadata
import logging
import pathlib
from collections.abc import Callable
from typing import Any

import torch
from pythae import data, models, trainers
from pythae.models import base, nn
from torch import nn as layers

from experiments import workloads


class _Encoder(nn.BaseEncoder):
    def __init__(self, size: int, hidden: int, latent: int):
        super().__init__()
        self.body = layers.Sequential(layers.Linear(size, hidden), layers.ReLU())
        self.mu = layers.Linear(hidden, latent)
        self.logvar = layers.Linear(hidden, latent)

    def forward(self, x):
        h = self.body(x.flatten(1))
        outputs = {"embedding": self.mu(h), "log_covariance": self.logvar(h)}
        return base.base_utils.ModelOutput(**outputs)


class _Decoder(nn.BaseDecoder):
    def __init__(self, size: int, hidden: int, latent: int):
        super().__init__()
        # pythae's Bernoulli loss takes probabilities.
        self.body = layers.Sequential(
            layers.Linear(latent, hidden),
            layers.ReLU(),
            layers.Linear(hidden, size),
            layers.Sigmoid(),
        )

    def forward(self, z):
        return base.base_utils.ModelOutput(reconstruction=self.body(z))


def prepare(
    workload: workloads.Workload, folder: pathlib.Path
) -> tuple[Callable[[], int], dict[str, Any]]:
    """See the package."""
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    x = torch.from_numpy(workload.data()).float().flatten(1) / 255
    x = x[: len(x) // workload.batch * workload.batch]  # its loader keeps short batches
    size, (hidden,), latent = x.shape[1], workload.hidden, max(workload.latent)
    model = models.VAE(
        models.VAEConfig(
            input_dim=(size,), latent_dim=latent, reconstruction_loss="bce"
        ),
        _Encoder(size, hidden, latent),
        _Decoder(size, hidden, latent),
    )
    per_epoch = -(-len(x) // workload.batch)
    epochs = max(1, round(workload.steps / per_epoch))
    dataset = data.datasets.BaseDataset(x, torch.zeros(len(x)))

    def repeat() -> int:
        trainers.BaseTrainer(
            model,
            dataset,
            training_config=trainers.BaseTrainerConfig(
                output_dir=str(folder / "pythae"),
                num_epochs=epochs,
                per_device_train_batch_size=workload.batch,
                learning_rate=1e-3,
                train_dataloader_num_workers=0,
            ),
        ).train()
        return epochs * per_epoch

    repeat()
    return repeat, {
        "version": importlib.metadata.version("pythae"),
        "device": "cpu",
        "threads": torch.get_num_threads(),
        "compile_s": 0.0,
    }
