"""inpaint and super_resolution: oracles, and real digits with their baselines."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import config, corruptions, panels, tasks
from aejax.tasks import holes, inpaint, super_resolution


@pytest.fixture(scope="module")
def linear(small):
    """A linear decoder of k = 3 in a population of Z = 6, whose mean is its output."""
    axes = {"latent_dim": [3, 6]}
    options = {"network": "linear", "likelihood": "gaussian", "epochs": 20}
    return small("ae", axes, eval_every=20, **options).model(latent_dim=3)


@pytest.fixture
def held(digits):
    return tasks.held_out(digits, "test", 20)


def test_energy_finds_the_closed_form_of_a_linear_decoder(linear, held):
    """Ridge regression on known pixels: (AᵀMA + λI) z = AᵀM (x - b)."""
    known, weight = holes.mask("pixels", held.x.shape), 0.3
    bias = linear.decode(np.zeros((1, 3)))[0].ravel().astype(np.float64)
    a = (linear.decode(np.eye(3)).reshape(3, -1) - bias).T.astype(np.float64)
    expected = []
    for x, m in zip(held.x.reshape(20, -1), known.reshape(20, -1), strict=True):
        inner = a[m].T @ a[m] + weight * np.eye(3)
        z = np.linalg.solve(inner, a[m].T @ (x - bias)[m])
        expected.append((a @ z + bias).reshape(held.x.shape[1:]))
    got = holes.energy(linear, held.x, known, weight=weight, steps=1000, rate=0.05)
    np.testing.assert_allclose(got, expected, atol=2e-3)


def test_energy_does_not_look_at_hidden_pixels(linear, held):
    known = holes.mask("patch", held.x.shape)
    other = np.where(known, held.x, 7.0)
    fills = (holes.energy, holes.forward)
    for fill in fills:
        np.testing.assert_array_equal(
            fill(linear, held.x, known), fill(linear, other, known)
        )
    others = (holes.mean, holes.biharmonic, holes.membrane)
    for fill in others:
        np.testing.assert_array_equal(fill(held.x, known), fill(other, known))


def test_the_best_of_several_starts_is_taken(small, held):
    """No step: the start of least energy, and never a worse one for more of them."""
    model = small("vae", latent_dim=32).model()
    known = holes.mask("rows", held.x.shape)

    def misfit(starts, steps):
        x_hat = holes.energy(
            model, held.x, known, weight=0.0, starts=starts, steps=steps
        )
        wrong = np.where(known, held.x - x_hat, 0)
        return np.square(wrong).reshape(20, -1).sum(1)

    zero = np.repeat(model.decode(np.zeros((1, 32))), 20, 0)
    code = model.reconstruct(holes.mean(held.x, known))
    each = [
        np.square(np.where(known, held.x - x, 0)).reshape(20, -1).sum(1)
        for x in (zero, code)
    ]
    np.testing.assert_allclose(misfit(2, 0), np.minimum(*each), rtol=1e-4)
    assert (misfit(2, 0) > misfit(2, 30)).all()
    assert misfit(6, 30).sum() < misfit(1, 30).sum()


@pytest.mark.parametrize(
    ("hole", "count"), [("patch", 9), ("rows", 24), ("pixels", 23)]
)
def test_a_mask_hides_its_share_at_random_places(hole, count):
    hidden = ~holes.mask(hole, (400, 8, 8, 1))
    assert hidden.shape == (400, 8, 8, 1)
    assert (hidden.sum((1, 2, 3)) == count).all()
    assert hidden.any(0).all() and not hidden.all(0).any()
    if hole == "patch":
        assert (hidden.any(2).sum(1) == 3).all() and (hidden.any(1).sum(1) == 3).all()
    if hole == "rows":
        assert (hidden.all(2).sum(1) == 3).all()
    np.testing.assert_array_equal(hidden, ~holes.mask(hole, (400, 8, 8, 1)))
    assert (hidden != ~holes.mask(hole, (400, 8, 8, 1), seed=1)).any()


def test_masks_that_cannot_be_are_refused():
    with pytest.raises(config.InputError, match="hole 'rings' is unknown"):
        holes.mask("rings", (2, 8, 8, 1))
    for share in (0.01, 0.99):
        with pytest.raises(config.InputError, match="all or nothing of 8×8"):
            holes.mask("patch", (2, 8, 8, 1), share)


def test_codes_of_several_vectors_are_refused_by_energy(linear, held, monkeypatch):
    monkeypatch.setattr(linear, "encode", lambda *batch: (np.zeros((20, 3)),) * 2)
    with pytest.raises(config.InputError, match="of ae or vae would do"):
        holes.energy(linear, held.x, np.ones(held.x.shape, bool))


@pytest.mark.parametrize("surface", [holes.membrane, holes.biharmonic])
def test_surfaces_continue_a_plane_and_take_a_constant_error_away(surface, held):
    known = np.ones((1, 12, 12, 1), bool)
    known[0, 4:8, 3:9] = False
    row, column = np.mgrid[:12, :12] / 12
    plane = (0.2 + 0.3 * row + 0.4 * column)[None, ..., None].astype(np.float32)
    np.testing.assert_allclose(surface(plane, known), plane, atol=1e-4)
    known = holes.mask("patch", held.x.shape)
    x_hat = holes.blended(surface, held.x + 0.25, held.x, known)
    np.testing.assert_allclose(x_hat, held.x, atol=1e-4)
    x_hat = holes.blended(surface, held.x[::-1], held.x, known)
    same = np.where(known, held.x, x_hat)
    np.testing.assert_allclose(x_hat, same, atol=1e-6)


def test_opencv_fills_each_channel(held):
    pytest.importorskip("cv2")
    x = np.concatenate([held.x, 1 - held.x], -1)
    known = holes.mask("patch", x.shape)
    for method in ("TELEA", "NS"):
        x_hat = holes.opencv(method, 3, x, known)
        alone = holes.opencv(method, 3, x[..., 1:], known)
        np.testing.assert_array_equal(x_hat[..., 1:], alone)
        kept = np.where(known, x_hat - x, 0)
        assert np.abs(kept).max() < 0.5 / 255 + 1e-6
        flat = holes.opencv(method, 3, np.full_like(x, 0.6), known)
        np.testing.assert_allclose(flat, 0.6, atol=2.1 / 255)


def test_inpaint_beats_the_baselines_on_held_out_digits(
    small, digits, forgetful, drawn
):
    vae = small("vae", latent_dim=32).model()
    axes = {"level": [0.0, 0.36]}
    run = small("denoising", axes, latent_dim=32, corruption="occlusion")
    models = [vae, *run.models()]
    task = tasks.TASKS["inpaint"]
    options = {"holes": ("patch",), "most": 100}
    result = task.apply(models, digits, **options)
    rows = {row["system"]: row for row in result.metrics}
    got = {name: row["psnr [dB]"] for name, row in rows.items()}
    ours = {"vae", "denoising"}
    ours |= {f"{name} + edge" for name in ours}
    baselines = {"mean", "membrane", "biharmonic"}
    assert set(got) - {"Telea", "Navier–Stokes"} == baselines | ours
    others = max(v for name, v in got.items() if name not in ours)
    assert min(got[name] for name in ours) > others + 1
    # The model was chosen on valid, and the right one.
    assert rows["denoising"]["chosen"] == "level=0.36"
    assert result.metrics == task.apply(models, forgetful(digits), **options).metrics
    # Known pixels are kept, hidden ones are grey in the picture and count alone.
    clean, hidden, *filled = (examples for *_, examples in result.panels[0].rows)
    assert len(filled) == len(got)
    for x_hat in filled:
        np.testing.assert_array_equal(x_hat[hidden != 0.5], clean[hidden != 0.5])
        assert (x_hat != clean).any()
    assert drawn(result)


def test_psnr_is_of_hidden_pixels_alone():
    x, known = np.zeros((2, 4, 4, 1)), holes.mask("pixels", (2, 4, 4, 1))
    x_hat = np.where(known, 1.0, 0.1)
    np.testing.assert_allclose(inpaint.hidden_psnr(x, x_hat, known), 20, rtol=1e-6)


def test_without_opencv_the_text_says_what_to_install(small, digits, monkeypatch):
    monkeypatch.setattr(inpaint.importlib.util, "find_spec", lambda name: None)
    axes = {"level": [0.0, 0.36]}
    run = small("denoising", axes, latent_dim=32, corruption="occlusion")
    result = inpaint.apply(run.models(), digits, holes=("rows",), most=10)
    assert {r["system"] for r in result.metrics} == {
        "mean",
        "membrane",
        "biharmonic",
        "denoising",
        "denoising + edge",
    }
    assert 'pip install "aejax[opencv]"' in result.text


@pytest.mark.parametrize("factor", [2, 4])
def test_low_resolution_is_what_models_were_trained_on(held, factor):
    low = super_resolution.low_resolution(held.x, factor)
    assert low.shape == (20, 8 // factor, 8 // factor, 1)
    nearest = super_resolution.enlarged(low, factor, "nearest")
    trained_on = corruptions.downsample(jax.random.key(0), jnp.array(held.x), factor)
    np.testing.assert_allclose(nearest, trained_on, atol=1e-6)


def test_back_projection_restores_the_known_averages(held):
    low = super_resolution.low_resolution(held.x, 2)
    x_hat = super_resolution.enlarged(low, 2)
    error = [
        np.abs(super_resolution.low_resolution(image, 2) - low).max()
        for image in (
            x_hat,
            super_resolution.back_projected(x_hat, low),
            super_resolution.back_projected(x_hat, low, 30),
        )
    ]
    assert error[0] > 0.1 > error[1] > 1e-3 > error[2]
    # What is consistent already stays.
    np.testing.assert_allclose(
        super_resolution.back_projected(held.x, low), held.x, atol=1e-6
    )


def test_factors_that_do_not_divide_are_refused(digits):
    assert super_resolution.suitable(digits) == (2,)
    assert super_resolution.suitable(digits, (4,)) == (4,)
    with pytest.raises(config.InputError, match="blocks of"):
        super_resolution.suitable(digits, (3,))
    odd = digits._replace(train=digits.train._replace(x=np.zeros((5, 7, 7, 1))))
    with pytest.raises(config.InputError, match="2 that divides both sides"):
        super_resolution.suitable(odd)


def test_super_resolution_beats_bicubic_on_held_out_digits(
    small, digits, forgetful, drawn
):
    axes = {"level": [2, 4]}
    run = small("denoising", axes, latent_dim=32, corruption="downsample")
    task = tasks.TASKS["super_resolution"]
    result = task.apply(run.models(), digits)
    got = {row["system"]: row["psnr [dB]"] for row in result.metrics}
    baselines = {"nearest", "bicubic", "bicubic + bp"}
    assert set(got) == {*baselines, "denoising", "denoising + bp"}
    assert got["denoising"] > max(got[name] for name in baselines) + 3
    assert got["denoising + bp"] > got["denoising"]
    assert result.metrics == task.apply(run.models(), forgetful(digits)).metrics
    assert drawn(result)


def test_the_texts_of_pictures_beside_each_other_stay_inside(drawn):
    images = np.zeros((8, 28, 28, 1))
    rows = [("denoising + bp", "25.7 dB", images)] * 6
    names = ["a rather long name"] * 5
    grid = panels.Grid("table", np.arange(10.0).reshape(5, 2), names, ["×2", "×4"])
    every = [panels.Images("×2", rows), panels.Images("×4", rows), grid]
    fig = drawn(tasks.Result([], every, ""))
    boxes = [t.get_window_extent() for ax in fig.axes[:2] for t in ax.texts]
    assert min(box.x0 for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= fig.bbox.x1
    left, right = boxes[:12], boxes[12:]
    assert max(box.x1 for box in left) < min(box.x0 for box in right)
