"""Settings to start from. A preset is a value; flags given beside it win."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Preset(NamedTuple):
    """``values`` of Config's fields, and ``axes``: {field or hyperparameter: values}.

    ``about`` is the line that ``--list`` shows; ``ranges`` are a search's, each as of
    its --axis.
    """

    about: str
    values: Mapping[str, Any] = {}
    axes: Mapping[str, Sequence[Any]] = {}
    ranges: Sequence[str] = ()


_BOTTLENECKS = {
    "objective": ("ae", "vae"),
    "latent_dim": (1, 2, 4, 8, 16, 32, 64),
    "seed": (0, 1, 2, 3, 4),
}

_WARM = {"hparams": {"kl_warmup": 0.25}}
_MNIST = {"dataset": "mnist", "learning_rate": 1e-3, "epochs": 10, "eval_every": 5}

PRESETS = {
    # Test mse of ae .046 .032 .020 .0125 .0068 at k = 1, 2, 4, 8, 16; PCA's .063 .053
    # .038 .024 .011. The vae's loss stays within .25 nats of its best up to k = 64;
    # without warm-up it is 1.7 above. 2 CPU cores: under 1 minute in all.
    "default": Preset(
        "the bottleneck sweep on scikit-learn's digits: 70 autoencoders, 1 minute",
        values=_WARM,
        axes=_BOTTLENECKS,
    ),
    # Nothing to expect but that it ends: for CI. 2 CPU cores: 15 s, mostly compiling.
    "smoke": Preset(
        "the same, cut to 8 autoencoders and 8 epochs: 15 seconds",
        values=_WARM | {"epochs": 8, "eval_every": 4},
        axes={"objective": ("ae", "vae"), "latent_dim": (2, 8), "seed": (0, 1)},
    ),
    # The recipe of flax's examples/vae, whose README says "around 104" nats. Test loss
    # 103.3 measured, at most 104.5 expected. 2 CPU cores: 1 minute.
    "flax_vae": Preset(
        "flax's VAE example: binarised MNIST, test loss ≤ 104.5 nats, 1 minute",
        values=_MNIST
        | {"dataset": "binarized_mnist", "objective": "vae"}
        | {"latent_dim": 20, "hidden": (500,)},
    ),
    # One seed at k = 8, 32: test mse .0160 .0057 (ae; PCA .0374 .0168), test loss 107.9
    # 103.0 (vae). 2 CPU cores: about an hour, estimated; better on a GPU (not tried).
    "mnist": Preset(
        "the bottleneck sweep on MNIST: 70 autoencoders of 512-256, an hour on 2 cores",
        values=_MNIST | {"hidden": (512, 256)},
        axes=_BOTTLENECKS,
    ),
    # After 2 of the 5 epochs at k = 8, 32: test mse of ae .0183 .0077. 2 CPU cores: 12
    # minutes at 2,400 images/s, estimated.
    "conv_mnist": Preset(
        "convolutional autoencoders of MNIST: 3 latent sizes, a quarter of an hour",
        values=_MNIST
        | {"network": "conv", "hidden": (32, 64, 256), "epochs": 5, "eval_every": 1},
        axes={"objective": ("ae", "vae"), "latent_dim": (2, 8, 32)},
    ),
    # Test mse at k = 8, 32: gelu .0111 .0042, relu .0120 .0046, tanh .0129 .0037,
    # sigmoid .0168 .0151. 2 CPU cores: 36 s.
    "activations": Preset(
        "relu, sigmoid, tanh and gelu on digits: 48 autoencoders, 1 minute",
        axes={
            "activation": ("relu", "sigmoid", "tanh", "gelu"),
            "latent_dim": (2, 8, 16, 32),
            "seed": (0, 1, 2),
        },
    ),
    # One tanh layer, under- and over-complete, plain and denoising by dropout; the
    # report's figure of encoder filters is what to look at. 2 CPU cores: 5 minutes,
    # estimated from 3 of its 10 epochs.
    "kernels": Preset(
        "784-30-784 and 784-500-784 tanh on MNIST, plain and denoising: filters",
        values=_MNIST
        | {"network": "linear", "activation": "tanh"}
        | {"hparams": {"activate_code": True, "level": 0.5, "rescale": True}},
        axes={"objective": ("ae", "denoising"), "latent_dim": (30, 500)},
    ),
    # For experiments.search, whose default it is; a sweep of it trains one model. After
    # 64 trials: nll + kl 24.2 on valid. 2 CPU cores: 1 minute, estimated from 160.
    "search": Preset(
        "a search: the beta-VAE's learning rate, beta and latent size on digits",
        values={"objective": "beta_vae", "epochs": 40, "eval_every": 10},
        ranges=(
            "learning_rate=log:1e-4:0.1",
            "beta=log:0.1:8",
            "latent_dim=linear:2:16",
        ),
    ),
}
