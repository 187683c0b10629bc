"""One affine map to the code and one back; ``hidden`` is not used.

With squared error the optimum spans PCA's subspace: Baldi & Hornik, Neural Networks
1989.
"""

from aejax import networks
from aejax.networks import mlp


def build(spec: networks.Spec) -> networks.Network:
    """The pure functions of an MLP without hidden layers, which is one stage."""
    return mlp.build(spec._replace(hidden=()))
