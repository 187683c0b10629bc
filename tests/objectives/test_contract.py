"""One table over OBJECTIVES × networks: what every objective must keep (P1, P2).

By default every objective runs with ``mlp`` and ``ae`` with every network; the whole
table is ``pytest -m whole_table tests/objectives/test_contract.py``.
"""

import concurrent.futures
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aejax
from aejax import data, model, networks, objectives
from aejax.runs import plan
from aejax.training import member as members

HIDDEN = {"conv": (4, 16), "resnet_conv": (4, 16)}
SEQUENCES = {n for n in networks.NETWORKS if "sequence" in networks.NETWORKS[n].needs}
HPARAMS = {
    "transformer": {"blocks": 1},
    "hierarchical": {"segments": 4, "teacher_forcing": True},  # of recurrent
}
LABELLED = ("conv", "recurrent")  # read labels in their own way
K, Z, STEPS = 5, 16, 50
TRAINED = ("net", "extra")
# Layers of other phases have no gradient; the file says why.
SOME_WITHOUT_GRADIENT = {"stacked"}


def refused(objective, network):
    """Pairs that a plan refuses (tests/runs/test_plan.py)."""
    if objective == "stacked":
        return network not in ("linear", "linear_tied", "mlp")
    return network == "linear_tied" and objective in ("conditional_vae", "vq_vae")


def pairs():
    for objective in sorted(objectives.OBJECTIVES):
        for network in sorted([*networks.NETWORKS, "hierarchical"]):
            if refused(objective, network):
                continue
            default = network == "mlp" or objective == "ae"
            default |= objective == "conditional_vae" and network in LABELLED
            marks = () if default else pytest.mark.whole_table
            pair = (objective, network)
            yield pytest.param(pair, marks=marks, id="-".join(pair))


def with_alone():
    """The same. P2 rests on prefixes of jax's draws, which ae and vae ask for, too."""
    for one in pairs():
        (objective, _), *_ = one.values
        marks = one.marks if objective in ("ae", "vae") else (*one.marks, any_jax)
        yield pytest.param(*one.values, marks=marks, id=one.id)


any_jax = pytest.mark.any_jax
each_pair = pytest.mark.parametrize("pair", list(pairs()))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """64 digits, as images and as sequences of up to eight rows of eight."""
    full = data.load("digits")
    folder = tmp_path_factory.mktemp("data")
    x = full.train.x[:64].astype(np.float32) / full.scale
    y = full.train.y[:64]
    parts = {"train": slice(64), "valid": slice(16), "test": slice(16, 32)}
    arrays = {f"x_{n}": x[rows] for n, rows in parts.items()}
    arrays |= {f"y_{n}": y[rows] for n, rows in parts.items()}
    np.savez(folder / "images.npz", **arrays)
    length = np.random.default_rng(0).integers(3, 9, 64)
    arrays |= {f"x_{n}": x[rows, ..., 0] for n, rows in parts.items()}
    arrays |= {f"length_{n}": length[rows] for n, rows in parts.items()}
    np.savez(folder / "sequences.npz", **arrays)
    return folder


class Case:
    """One objective and network at width Z, and alone at width K, compiled."""

    def __init__(self, folder, objective, network, kinds=("wide", "alone")):
        hparams = HPARAMS.get(network, {})
        network = "recurrent" if network == "hierarchical" else network
        file = "sequences.npz" if network in SEQUENCES else "images.npz"
        config = aejax.Config(
            dataset=str(folder / file),
            objective=objective,
            network=network,
            hidden=HIDDEN.get(network, (16,)),
            batch_size=16,
            epochs=STEPS,
            optimizer="adamw",
            weight_decay=0.01,
            clip_norm=0.5,
            learning_rate=3e-3,
            hparams=hparams,
        )
        planned = plan.plan(config, {"latent_dim": [K, Z]})
        (self.wide,) = planned.populations
        (self.alone,) = plan.plan(config.replace(latent_dim=K), {}).populations
        source = planned.sources.source(self.wide.spec)
        self.data = jax.tree.map(jnp.asarray, source.data())
        self.programs = {w: self.compile(w) for w in kinds}

    def compile(self, kind):
        """(values, poison, steps) -> loss, metrics, gradients, parameters, curve.

        Gradients are the first step's own, so that one backward pass is compiled.
        """
        spec, grads = getattr(self, kind).spec, []
        real = spec.objective.optimizer

        def spied(*arguments, **hp):
            tx = real(*arguments, **hp)

            def update(updates, *more):
                grads.append(updates)
                return tx.update(updates, *more)

            return tx._replace(update=update)

        spec = spec._replace(objective=spec.objective._replace(optimizer=spied))

        def program(state, values, poison, steps, data):
            k, member = values["latent_dim"], members.member(spec, values, data)

            def poisoned(path, a):
                if not model.is_latent(path):
                    return a
                padded = jnp.arange(len(a)).reshape(-1, *(1,) * (a.ndim - 1)) >= k
                return jnp.where(padded & poison, 1e3, a)

            params = jax.tree_util.tree_map_with_path(poisoned, state.params)
            batch = member.batch(jnp.arange(16), 0)
            first = None  # where it is alone the steps' own losses do
            if kind == "wide":
                first = member.loss(params, batch, jax.random.key(7), 0)[:2]

            def step(i, carry):
                state, losses, before = carry
                rows = (jnp.arange(16) + 16 * i) % 64
                state, loss = member.step(state, member.batch(rows, i), i)
                here = jax.tree.map(
                    lambda a, b: jnp.where(i == 0, a, b), grads.pop(), before
                )
                return state, losses.at[i].set(loss), here

            blank = {n: jax.tree.map(jnp.zeros_like, params[n]) for n in TRAINED}
            carry = (state._replace(params=params), jnp.zeros(STEPS), blank)
            _, losses, here = jax.lax.fori_loop(0, steps, step, carry)
            return first, here, params, losses

        values = self.values(kind)
        arguments = (self.initial(kind), values, False, 1, self.data)
        return jax.jit(program).lower(*arguments).compile()

    @functools.cache  # noqa: B019 - cases live as long as the module
    def run(self, kind, poison=False, steps=1):
        values = self.values(kind)
        arguments = (np.asarray(poison), np.asarray(steps, np.int32))
        out = self.programs[kind](self.initial(kind), values, *arguments, self.data)
        return jax.tree.map(np.asarray, out)

    @functools.cache  # noqa: B019
    def initial(self, kind):
        """Not compiled as one program: objectives share most of its operations."""
        values = jax.tree.map(jnp.asarray, self.values(kind))
        return members.member(getattr(self, kind).spec, values, self.data).init()

    def values(self, kind, k=K):
        population = getattr(self, kind)
        (one,) = [m for m in population.members if m.config.latent_dim == k]
        return population.spec.hparams(one.config)


@pytest.fixture(scope="module")
def case(digits, request):
    """Cases by pair; all that will be asked for compile ahead, on two threads."""
    pool = concurrent.futures.ThreadPoolExecutor(2)
    wanted = {("ae", "mlp"): {"wide"}}
    for item in request.session.items:
        if item.path == request.path and hasattr(item, "callspec"):
            kinds = wanted.setdefault(item.callspec.params["pair"], {"wide"})
            if item.originalname == test_a_member_equals_its_standalone_run.__name__:
                kinds.add("alone")
    futures = {p: pool.submit(Case, digits, *p, kinds) for p, kinds in wanted.items()}
    yield lambda pair: futures[pair].result()
    pool.shutdown(cancel_futures=True)


@each_pair
def test_loss_is_a_finite_scalar_of_its_key(case, pair):
    (loss, metrics), grads, *_ = case(pair).run("wide")
    assert loss.shape == () and np.isfinite(loss)
    assert all(m.shape == () and np.isfinite(m) for m in metrics.values())
    (again, _), *_ = case(pair).run.__wrapped__(case(pair), "wide")
    assert loss == again
    for path, g in jax.tree_util.tree_leaves_with_path(grads):
        assert np.isfinite(g).all(), path
        if pair[0] not in SOME_WITHOUT_GRADIENT:
            assert np.abs(g).max() > 0, f"{path} receives no gradient"


@each_pair
def test_padding_changes_neither_loss_nor_gradients(case, pair):
    """P1: every padded slice filled with 1e3."""
    (loss, metrics), grads, params, _ = case(pair).run("wide")
    (loss_p, metrics_p), grads_p, poisoned, _ = case(pair).run("wide", poison=True)
    assert loss == loss_p
    jax.tree.map(np.testing.assert_array_equal, metrics, metrics_p)
    jax.tree.map(np.testing.assert_array_equal, grads, grads_p)
    for path, leaf in jax.tree_util.tree_leaves_with_path((params, grads)):
        if model.is_latent(path):
            np.testing.assert_array_equal(leaf[K:], 0)
    latent = jax.tree_util.tree_leaves_with_path(poisoned)
    filled = [(leaf[K:] == 1e3).all() for path, leaf in latent if model.is_latent(path)]
    assert len(filled) >= 2 and all(filled)  # a tied network has one kernel


@pytest.mark.parametrize("pair", list(with_alone()))
def test_a_member_equals_its_standalone_run(case, pair):
    """P2: step 0 to 1e-5, 50 steps of AdamW with clipping to 1e-4; and it learns."""
    results = {}
    for kind in ("wide", "alone"):
        _, grads, _, losses = case(pair).run(kind, steps=STEPS)
        results[kind] = (model.trim(grads, K), losses)
    grads, losses = results["wide"]
    grads_1, losses_1 = results["alone"]
    np.testing.assert_allclose(losses[0], losses_1[0], rtol=1e-5)
    # Of the whole tree: a gradient far below the others is their rounding.
    largest = max(np.abs(b).max() for b in jax.tree.leaves(grads_1))
    for a, b in zip(jax.tree.leaves(grads), jax.tree.leaves(grads_1), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * largest)
    np.testing.assert_allclose(losses, losses_1, rtol=1e-4)
    assert losses[-4:].mean() < 0.95 * losses[:4].mean()


def test_an_unseen_example_is_not_shown_to_the_decoder(case):
    """mse decodes without x, which a teacher-forced decoder would copy."""
    c = case(("ae", "mlp"))
    values, spec = c.values("wide"), c.wide.spec
    bound, hparams = members.bind(spec, values)(0)
    batches = []

    def spy(params, z, batch=None):
        batches.append(batch)
        return bound.decode(params, z, batch)

    batch = members.fetch(c.data.train, jnp.arange(16), 1.0)
    spied = bound._replace(decode=spy)
    members.reconstruction_errors(
        spec.objective, spied, hparams, c.run("wide")[2], batch
    )
    assert batches[0].x is None
