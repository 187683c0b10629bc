"""Autoencoder: with linear networks, PCA."""

import jax
import numpy as np
import scipy.linalg

import aejax
from aejax import data as datasets

LINEAR = ["linear", "linear_tied"]


def test_linear_it_is_pca(tmp_path):
    """Baldi & Hornik, 1989: its error is the sum of the trailing eigenvalues."""
    dims = [1, 2, 5, 10]
    x = datasets.load("digits").train.x[:300].reshape(300, -1) / 16.0
    x = x - x.mean(0)
    values, vectors = np.linalg.eigh(x.T @ x / 300)
    values, vectors = values[::-1], vectors[:, ::-1]
    x = np.float32(x)
    np.savez(tmp_path / "x.npz", x_train=x, x_valid=x, x_test=x)
    config = aejax.Config(
        dataset=str(tmp_path / "x.npz"),
        likelihood="gaussian",
        batch_size=300,
        epochs=250,
        eval_every=250,
        learning_rate=0.1,
        schedule="cosine",
        beta2=0.9,
    )
    axes = {"network": LINEAR, "latent_dim": dims}
    out = aejax.sweep(config, axes, devices=jax.devices()[:2])
    for row in out.rows:
        k = row["latent_dim"]
        np.testing.assert_allclose(row["mse"], values[k:].sum() / 64, rtol=1e-3)
    for network in LINEAR:
        for k in dims:
            decode = out.model(network=network, latent_dim=k).decode
            spanned = decode(np.eye(k)) - decode(np.zeros((1, k)))
            angles = scipy.linalg.subspace_angles(spanned.T, vectors[:, :k])
            assert angles.max() < 1e-2, (network, k)
