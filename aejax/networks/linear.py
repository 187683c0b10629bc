"""One affine map to the code and one back; ``hidden`` is not used.

With squared error the optimum spans PCA's subspace: Baldi & Hornik, Neural Networks
1989. With ``activate_code`` it is the autoencoder of one hidden layer, D-Z-D.
"""

from aejax import networks
from aejax.networks import mlp

check = mlp.check
reads_missing = True


def build(
    spec: networks.NetworkSpec, *, activate_code: bool = False
) -> networks.Network:
    """The pure functions of an MLP without hidden layers, which is one stage."""
    return mlp.build(spec._replace(hidden=()), activate_code=activate_code)
