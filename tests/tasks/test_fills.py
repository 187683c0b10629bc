"""What fills holes: closed forms, and what is not looked at."""

import numpy as np
import pytest

from aejax import config, tasks
from aejax.tasks import fills


@pytest.fixture(scope="module")
def linear(small):
    """A linear decoder of k = 3 in a population of Z = 6, whose mean is its output."""
    axes = {"latent_dim": [3, 6]}
    options = {"network": "linear", "likelihood": "gaussian", "epochs": 20}
    return small("ae", axes, eval_every=20, **options).model(latent_dim=3)


@pytest.fixture
def part(digits):
    return tasks.held_out(digits, "test", 20)


def test_energy_finds_a_linear_decoders_closed_form(linear, part):
    """Ridge regression on known pixels: (AᵀMA + λI) z = AᵀM (x - b)."""
    known, weight = fills.mask("pixels", part.x.shape), 0.3
    bias = linear.decode(np.zeros((1, 3)))[0].ravel().astype(np.float64)
    a = (linear.decode(np.eye(3)).reshape(3, -1) - bias).T.astype(np.float64)
    expected = []
    for x, m in zip(part.x.reshape(20, -1), known.reshape(20, -1), strict=True):
        inner = a[m].T @ a[m] + weight * np.eye(3)
        z = np.linalg.solve(inner, a[m].T @ (x - bias)[m])
        expected.append((a @ z + bias).reshape(part.x.shape[1:]))
    got = fills.energy(linear, part.x, known, weight=weight, steps=1000, rate=0.05)
    np.testing.assert_allclose(got, expected, atol=2e-3)


def test_energy_does_not_look_at_hidden_pixels(linear, part):
    known = fills.mask("patch", part.x.shape)
    other = np.where(known, part.x, 7.0)
    for fill in (fills.energy, fills.forward):
        np.testing.assert_array_equal(
            fill(linear, part.x, known), fill(linear, other, known)
        )
    for fill in (fills.mean, fills.biharmonic, fills.membrane):
        np.testing.assert_array_equal(fill(part.x, known), fill(other, known))


def test_the_best_of_several_starts_is_taken(small, part):
    """No step: the start of least energy, and never a worse one for more of them."""
    model = small("vae", latent_dim=32).model()
    known = fills.mask("rows", part.x.shape)

    def misfit(starts, steps):
        x_hat = fills.energy(
            model, part.x, known, weight=0.0, starts=starts, steps=steps
        )
        wrong = np.where(known, part.x - x_hat, 0)
        return np.square(wrong).reshape(20, -1).sum(1)

    zero = np.repeat(model.decode(np.zeros((1, 32))), 20, 0)
    code = model.reconstruct(fills.mean(part.x, known))
    each = [
        np.square(np.where(known, part.x - x, 0)).reshape(20, -1).sum(1)
        for x in (zero, code)
    ]
    np.testing.assert_allclose(misfit(2, 0), np.minimum(*each), rtol=1e-4)
    assert (misfit(2, 0) > misfit(2, 30)).all()
    assert misfit(6, 30).sum() < misfit(1, 30).sum()


@pytest.mark.parametrize(
    ("hole", "count"), [("patch", 9), ("rows", 24), ("pixels", 23)]
)
def test_a_mask_hides_its_share_at_random_places(hole, count):
    hidden = ~fills.mask(hole, (400, 8, 8, 1))
    assert hidden.shape == (400, 8, 8, 1)
    assert (hidden.sum((1, 2, 3)) == count).all()
    assert hidden.any(0).all() and not hidden.all(0).any()
    if hole == "patch":
        assert (hidden.any(2).sum(1) == 3).all() and (hidden.any(1).sum(1) == 3).all()
    if hole == "rows":
        assert (hidden.all(2).sum(1) == 3).all()
    np.testing.assert_array_equal(hidden, ~fills.mask(hole, (400, 8, 8, 1)))
    assert (hidden != ~fills.mask(hole, (400, 8, 8, 1), seed=1)).any()


def test_masks_that_cannot_be_are_refused():
    with pytest.raises(config.InputError, match="hole 'rings' is unknown"):
        fills.mask("rings", (2, 8, 8, 1))
    for share in (0.01, 0.99):
        with pytest.raises(config.InputError, match="all or nothing of 8×8"):
            fills.mask("patch", (2, 8, 8, 1), share)


def test_energy_refuses_codes_of_several_vectors(linear, part, monkeypatch):
    monkeypatch.setattr(linear, "encode", lambda *batch: (np.zeros((20, 3)),) * 2)
    with pytest.raises(config.InputError, match="of ae or vae would do"):
        fills.energy(linear, part.x, np.ones(part.x.shape, bool))


@pytest.mark.parametrize("surface", [fills.membrane, fills.biharmonic])
def test_surfaces_continue_planes_and_end_errors(surface, part):
    known = np.ones((1, 12, 12, 1), bool)
    known[0, 4:8, 3:9] = False
    row, column = np.mgrid[:12, :12] / 12
    plane = (0.2 + 0.3 * row + 0.4 * column)[None, ..., None].astype(np.float32)
    np.testing.assert_allclose(surface(plane, known), plane, atol=1e-4)
    known = fills.mask("patch", part.x.shape)
    x_hat = fills.blended(surface, part.x + 0.25, part.x, known)
    np.testing.assert_allclose(x_hat, part.x, atol=1e-4)
    x_hat = fills.blended(surface, part.x[::-1], part.x, known)
    same = np.where(known, part.x, x_hat)
    np.testing.assert_allclose(x_hat, same, atol=1e-6)


def test_opencv_fills_each_channel(part):
    pytest.importorskip("cv2")
    x = np.concatenate([part.x, 1 - part.x], -1)
    known = fills.mask("patch", x.shape)
    for method in ("TELEA", "NS"):
        x_hat = fills.opencv(method, 3, x, known)
        alone = fills.opencv(method, 3, x[..., 1:], known)
        np.testing.assert_array_equal(x_hat[..., 1:], alone)
        kept = np.where(known, x_hat - x, 0)
        assert np.abs(kept).max() < 0.5 / 255 + 1e-6
        flat = fills.opencv(method, 3, np.full_like(x, 0.6), known)
        np.testing.assert_allclose(flat, 0.6, atol=2.1 / 255)
