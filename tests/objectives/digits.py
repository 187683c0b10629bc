"""What objectives reach on digits: (settings, test metric, its value, tolerance).

Means of two seeds; ``python -m experiments.reproduce digits`` trains them again. A new
objective is a line here; ``test_tables.py`` says so.
"""

DIGITS = {
    "adversarial_ae": ({"latent_dim": 8}, "mse", 0.0134, 0.0030),
    "ae": ({"latent_dim": 8}, "mse", 0.0121, 0.0006),
    "beta_tc_vae": ({"latent_dim": 8}, "loss", 24.80, 0.6),
    "beta_vae": ({"latent_dim": 8, "beta": 0.5}, "loss", 21.44, 0.4),
    "conditional_vae": ({"latent_dim": 8}, "loss", 20.73, 0.4),
    "contractive": ({"latent_dim": 8}, "mse", 0.0124, 0.0011),
    "denoising": ({"latent_dim": 8}, "mse", 0.0157, 0.0017),
    "dip_vae": ({"latent_dim": 8}, "loss", 24.77, 0.5),
    "dreg_iwae": ({"latent_dim": 8}, "loss", 23.24, 0.5),
    "factor_vae": ({"latent_dim": 8}, "loss", 23.83, 0.5),
    "flow_vae": ({"latent_dim": 8}, "loss", 23.67, 0.5),
    "fsq": ({"latent_dim": 8}, "mse", 0.0180, 0.0029),
    "hierarchical_vae": ({"latent_dim": 8}, "loss", 23.68, 0.5),
    "info_vae": ({"latent_dim": 8}, "loss", 21.46, 0.4),
    "iwae": ({"latent_dim": 8}, "loss", 23.30, 0.5),
    "miwae": ({"latent_dim": 8}, "loss", 23.25, 0.5),
    "nested_dropout": ({"latent_dim": 8}, "mse", 0.0164, 0.0008),
    "rae_l2": ({"latent_dim": 8}, "mse", 0.0115, 0.0009),
    "sparse_kl": ({"latent_dim": 8}, "mse", 0.0140, 0.0006),
    "sparse_l1": ({"latent_dim": 8}, "mse", 0.0236, 0.0035),
    "stacked": ({"latent_dim": 8}, "mse", 0.0129, 0.0005),
    "topk": ({"latent_dim": 8}, "mse", 0.0200, 0.0021),
    "vae": ({"latent_dim": 8}, "loss", 23.69, 0.5),
    "vamp_vae": ({"latent_dim": 8}, "loss", 23.34, 0.5),
    "vq_vae": ({"latent_dim": 8}, "mse", 0.0094, 0.0016),
    "wae_mmd": ({"latent_dim": 8}, "mse", 0.0126, 0.0005),
}
