"""Applications that look at codes: compress, visualize, interpolate."""

import io
import math

import jax
import numpy as np
import pytest
from scipy import special, stats

import aejax
from aejax import model as model_lib
from aejax import tasks
from aejax.tasks import coding, interpolate, judge, visualize

SIZES = {"latent_dim": [2, 8]}  # of models that all tests share


@pytest.mark.parametrize("n, k, step", [(1, 1, 1), (7, 3, 0.5), (3000, 5, 0.1)])
def test_files_decode_to_their_integers_even_where_no_training_code_was(n, k, step):
    rng = np.random.default_rng(n)
    coder = coding.fit(rng.normal(size=(500, k)), step)
    z = rng.standard_t(2, size=(n, k)) * 3
    q = coder.quantise(z)
    assert n == 1 or coder.symbols(q)[1].any()  # outside the tables
    assert np.array_equal(coding.decode(coder, coding.encode(coder, q)), q)
    assert np.abs(coder.dequantise(q) - z).max() <= coder.step * 0.501


def test_files_are_as_short_as_the_entropy_of_their_tables():
    z = np.random.default_rng(0).normal(size=(20_000, 4)) * np.array([[3, 1, 0.1, 0]])
    coder = coding.fit(z, 0.5)
    q = coder.quantise(z)
    columns = (np.unique(c, return_counts=True)[1] / len(c) for c in q.T)
    least = sum(special.entr(p).sum() for p in columns) / math.log(2) / 8
    assert 1 < len(coding.encode(coder, q)) / len(q) / least < 1.01


def test_a_step_so_small_that_tables_cannot_hold_it_still_decodes():
    z = np.random.default_rng(0).normal(size=(50, 2))
    coder = coding.fit(z, 1e-5)
    q = coder.quantise(z)
    assert coder.symbols(q)[1].mean() > 0.5
    assert np.array_equal(coding.decode(coder, coding.encode(coder, q)), q)
    with pytest.raises(aejax.InputError, match="not finite"):
        coder.quantise(z * np.nan)


@pytest.mark.parametrize("one", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_image_files_are_read_back_in_their_order(one, channels):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (5, 4, 6, channels)).astype(np.uint8)
    size, read = coding.images(x, "png", one)
    assert np.array_equal(read, x)
    assert size > x.size


@pytest.mark.parametrize("values", [{}, {"likelihood": "categorical", "epochs": 1}])
def test_bits_back_is_the_elbo_over_levels(small, digits, values):
    model = small("vae", SIZES, **values).model(latent_dim=8)
    x = tasks.held_out(digits).x[:64]
    got = coding.bits_back(model, x, levels=17)
    mu, logvar = model.model.encode(model.params, model_lib.Batch(x))
    z = model.model.sample(jax.random.fold_in(jax.random.key(0), 0), mu, logvar)
    decoded = np.asarray(model.model.decode(model.params, z))  # (64, 8, 8, 1, 1 or 17)
    tilt = 1.0 if values else np.arange(17) / 16
    level = np.rint(x * 16).astype(int)[..., None]
    nll = -np.take_along_axis(special.log_softmax(decoded * tilt, -1), level, -1)
    q = stats.norm(mu, np.exp(0.5 * np.asarray(logvar))).logpdf(z).sum(1)
    nats = nll.reshape(64, -1).sum(1) + q - stats.norm.logpdf(z).sum(1)
    np.testing.assert_allclose(got, nats / math.log(2), rtol=1e-4)


def test_compress_scores_what_its_files_hold(small, digits, forgetful, drawn):
    models = [small(n, SIZES).model(latent_dim=8) for n in ("ae", "vae")]
    task = tasks.TASKS["compress"]
    options = {"steps": (1.0, 0.5), "qualities": (10, 60)}
    result = task.apply(models, digits, **options)
    by = {}
    for row in result.metrics:
        by.setdefault(row["system"], []).append(row)
    codecs = {f"{kind}{one}" for kind in ("jpeg", "webp") for one in ("", ", one file")}
    exact = {"raw", "png", "png, one file", "vae bits-back"}
    assert set(by) == {"pca", "ae", "vae"} | codecs | exact
    test = tasks.held_out(digits)
    coders = np.load(io.BytesIO(result.files["compressed/coders.npz"]))
    for row in (row for name in ("ae", "vae") for row in by[name]):
        model = models[row["system"] == "vae"]
        path = row["file"]
        coder = coding.Coder(*(coders[f"{path}/{f}"] for f in coding.Coder._fields))
        q = coding.decode(coder, result.files[path])
        x_hat = model.decode(coder.dequantise(q))
        assert row["psnr [dB]"] == tasks.psnr(test.x, x_hat).mean()
        assert row["rate [bytes/image]"] == len(result.files[path]) / len(test.x)
    best = {n: max(r["psnr [dB]"] for r in by[n]) for n in ("ae", "pca")}
    assert best["ae"] > best["pca"] + 1
    rate = {n: by[n][0]["rate [bytes/image]"] for n in exact}
    assert rate["vae bits-back"] < rate["png, one file"] < rate["raw"] < rate["png"]
    again = task.apply(models, forgetful(digits), **options)
    rows = [r for r in again.metrics if r["system"] != "pca"]
    assert rows == [r for r in result.metrics if r["system"] != "pca"]
    worse = [r["psnr [dB]"] for r in again.metrics if r["system"] == "pca"]
    assert max(worse) < best["pca"] - 1
    assert drawn(result)


def test_maps_are_scored_by_the_neighbours_they_keep():
    rng = np.random.default_rng(0)
    flat, y = rng.normal(size=(200, 2)), np.arange(200) % 2
    x = flat @ np.linalg.qr(rng.normal(size=(9, 9)))[0][:2]  # the plane, turned
    apart = flat + 20 * y[:, None]
    assert visualize.score(x, flat) == {"trustworthiness": 1.0}
    assert visualize.score(x, apart, y)["kNN accuracy"] == 1
    other = visualize.score(x, rng.normal(size=(200, 2)), y)
    assert other["trustworthiness"] < 0.6
    assert abs(other["kNN accuracy"] - 0.5) < 0.15


def test_planes_atoms_and_filters_show_their_model(small):
    vae = small("vae", SIZES).model(latent_dim=2)
    ae = small("ae", SIZES).model(latent_dim=2)
    upper = stats.norm.ppf(5 / 6)
    shown = visualize.plane(vae, 3)
    top = vae.decode([[upper, upper]])[0]
    np.testing.assert_allclose(shown[0, 2], top, atol=1e-5)
    codes = ae.training_codes()[0]
    corner = [[np.quantile(codes[:, 0], 1 / 6), np.quantile(codes[:, 1], 1 / 6)]]
    np.testing.assert_allclose(
        visualize.plane(ae, 3)[2, 0], ae.decode(corner)[0], atol=1e-6
    )
    shape = (8, 8, 1)
    moved = vae.decode([[0, 1]]) - vae.decode([[0, 0]])
    np.testing.assert_allclose(visualize.atoms(vae, shape)[1:], moved, atol=1e-6)
    weights = np.asarray(vae.params["net"]["encoder_0"]["kernel"])
    assert np.array_equal(visualize.filters(vae, shape)[5].ravel(), weights[:, 5])
    assert visualize.filters(vae, (4, 4, 1)) is None
    board = np.indices((8, 8)).sum(0).reshape(1, *shape) % 2
    assert visualize.smoothness(board) == pytest.approx(-1)
    assert visualize.smoothness(np.arange(64.0).reshape(1, *shape)) > 0.5


def test_visualize_maps_held_out_digits_better_than_pca(
    small, digits, forgetful, drawn
):
    models = [
        small("vae", SIZES).model(latent_dim=2),
        small("ae", SIZES).model(latent_dim=8),
    ]
    task = tasks.TASKS["visualize"]
    result = task.apply(models, digits, most=150)
    rows = {(r["system"], r["map"]): r for r in result.metrics}
    vae, pca = ("vae k=2", "latent plane"), ("data", "PCA")
    both = {(n, m) for n in ("data", "ae k=8") for m in ("PCA", "t-SNE")}
    assert set(rows) == both | {vae}
    for metric in ("trustworthiness", "kNN accuracy"):
        assert rows[vae][metric] > rows[pca][metric] + 0.05
    again = task.apply(models, forgetful(digits), most=150).metrics
    worse = {(r["system"], r["map"]): r for r in again}
    assert {p: r for p, r in worse.items() if p != pca} == {
        p: r for p, r in rows.items() if p != pca
    }
    assert worse[pca]["kNN accuracy"] < rows[pca]["kNN accuracy"] - 0.1
    assert drawn(result)


def test_arcs_keep_their_radius_and_lines_their_mean():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5, 7))
    a, b = (3 * z / np.linalg.norm(z, axis=1, keepdims=True) for z in (a, b))
    t = np.linspace(0, 1, 5)
    bent, straight = interpolate.arc(a, b, t), interpolate.line(a, b, t)
    np.testing.assert_allclose(np.linalg.norm(bent, axis=-1), 3, rtol=1e-5)
    for path in (bent, straight):
        np.testing.assert_allclose(path[:, 0], a, atol=1e-5)
        np.testing.assert_allclose(path[:, -1], b, atol=1e-5)
        middle = (a + b) / np.linalg.norm(a + b, axis=1, keepdims=True)
        unit = path[:, 2] / np.linalg.norm(path[:, 2], axis=1, keepdims=True)
        np.testing.assert_allclose(unit, middle, atol=1e-5)
    steps = np.linalg.norm(np.diff(bent, axis=1), axis=-1)
    np.testing.assert_allclose(steps, steps[:, :1].repeat(4, 1), rtol=1e-4)
    same = interpolate.arc(a, a, t)  # no angle
    np.testing.assert_allclose(same, a[:, None].repeat(5, 1), rtol=1e-5)


def test_the_nearest_is_the_nearest_far_from_zero():
    rng = np.random.default_rng(0)
    reference = (10_000 + rng.normal(size=(300, 4, 4, 1))).astype(np.float32)
    x = reference[:7] + 0.01
    distance, which = judge.nearest(x, reference)
    assert which.tolist() == list(range(7))
    np.testing.assert_allclose(distance, 0.04, rtol=0.1)


def test_interpolate_compares_paths_with_blending_of_held_out_digits(
    small, digits, forgetful, drawn
):
    models = [small("vae", SIZES).model(latent_dim=8)]
    task = tasks.TASKS["interpolate"]
    result = task.apply(models, digits, pairs=40, frames=7)
    train, valid = (f"distance to {n} [data units]" for n in ("train", "valid"))
    for kind in ("two classes", "one class"):
        rows = {r["system"]: r for r in result.metrics if r["pairs"] == kind}
        ours = {"vae line", "vae arc", "vae blend"}
        assert set(rows) == ours | {"pixels", "real images"}
        if kind == "two classes":
            far = {system: row[train] for system, row in rows.items()}
            assert far["vae arc"] < far["vae line"] < far["vae blend"]
            assert far["vae arc"] < far["pixels"] - 0.05
            drawn_bars = result.panels[1].bars
            assert {n: float(bar[0]) for n, bar in drawn_bars.items()} == far
    two = task.apply(models, digits, pairs=2, frames=7).panels
    (first,) = (float(n) for s, n, _ in two[4].rows if s == "pixels")
    mean, low, high = two[1].bars["pixels"]  # of two values: Student's t is 12.7
    np.testing.assert_allclose((high - low) / 2, 12.7 * abs(first - mean), rtol=0.05)
    again = task.apply(models, forgetful(digits), pairs=40, frames=7).metrics
    for one, other in zip(result.metrics, again, strict=True):
        assert one[valid] == other[valid]  # frames are of test images alone
        assert other[train] > one[train] + 1  # which noise is far from
    few = digits._replace(test=digits.test._replace(x=digits.test.x[:1], y=None))
    with pytest.raises(aejax.InputError, match="too few"):
        task.apply(models, few)
    assert drawn(result)


def test_a_part_of_a_sorted_split_has_its_classes(digits):
    order = np.argsort(digits.test.y)
    part = type(digits.test)(digits.test.x[order], digits.test.y[order])
    some = tasks.held_out(digits._replace(test=part), "test", 30)
    assert len(some.x) == len(some.y) <= 30
    assert len(set(some.y.tolist())) == 10
    assert len(tasks.held_out(digits).x) == len(digits.test.x)
