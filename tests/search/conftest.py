"""Searches of one kind share a compiled program: compiling is most of their time."""

import pytest

from aejax.search import searcher

KEPT = {}
# Of a first member, which the program does not know.
TRACED = {"seed": 0, "learning_rate": 1.0, "latent_dim": 1, "hparams": {}}


@pytest.fixture(scope="module", autouse=True)
def kept(as_for_users):
    """``Search._build``, but that what another search has compiled is used again."""
    real = searcher.Search._build

    def build(search, population):
        spec = population.whole.spec
        spec = spec._replace(config=spec.config.replace(**TRACED))
        devices = len(search._devices)
        text = repr((spec, len(population.whole.members), devices))
        if text not in KEPT:
            with as_for_users():
                KEPT[text] = real(search, population)
        return KEPT[text]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searcher.Search, "_build", build)
        yield
