"""NumPy's own file: ``params.npz`` has the arrays by name."""

import pathlib
from collections.abc import Mapping

import numpy as np

from aejax.exports import arrays as stored
from aejax.exports import folder as folders

NEEDS = {"write": (), "read": ()}
FILE = "params.npz"
# What the README's reader in NumPy reads; tests hold it to them.
OBJECTIVES = """adversarial_ae ae beta_tc_vae beta_vae contractive denoising dip_vae
    dreg_iwae factor_vae hierarchical_vae info_vae iwae nested_dropout rae_l2 stacked
    vae vamp_vae wae_mmd""".split()
LIKELIHOODS = "bernoulli gaussian gaussian_learned laplace student_t".split()


def write(
    parts: stored.Parts, arrays: Mapping[str, np.ndarray], folder: pathlib.Path
) -> None:
    """The arrays."""
    np.savez(folder / FILE, **arrays)


def load(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays.

    Raises:
      InputError: the file is damaged.
    """
    try:
        # Opened here: NumPy leaves a file open that turns out to be no archive.
        with open(folder / FILE, "rb") as file:
            return dict(np.load(file, allow_pickle=False))
    # Archives are wrong in many ways: encrypted, of sizes that no memory has, …
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise folders.damaged(folder, FILE, why) from error


def usage(parts: stored.Parts) -> str:
    """For the model card."""
    alone = (
        "; aejax/exports/README.md of the package has a reader of this model that "
        "needs NumPy alone"
    )
    return f"`params.npz` has the parameters by name{alone * _is_plain(parts)}."


def _is_plain(parts: stored.Parts) -> bool:
    """Whether the README's reader reads it."""
    config = parts.config
    return (
        config.network == "mlp"
        and not config.hparams["activate_code"]
        and config.objective in OBJECTIVES
        and parts.spec.model.likelihood in LIKELIHOODS
        and config.activation != "gelu"
        and not parts.spec.data.counted
    )
