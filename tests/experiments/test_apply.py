"""Applications from the command line: which models, what is written or refused."""

import contextlib
import io
import json

import numpy as np
import pytest

import aejax
from aejax import config, tasks
from experiments import apply


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "small"
    base = aejax.Config(hidden=(16,), epochs=4, eval_every=2)
    axes = {"objective": ["ae", "vae"], "latent_dim": [2, 5], "seed": [0, 1]}
    return aejax.sweep(base, axes, out=out)


def applied(argv):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = apply.main(argv)
    return code, printed.getvalue()


def refused(argv, capsys):
    assert apply.main(argv) == 2
    text = capsys.readouterr().err.strip()
    assert text.startswith("error: ") and text.count("\n") < 8
    return text


def test_help_names_every_task_without_jax(imported, capsys):
    assert apply.main(["--help"]) == 0
    output = capsys.readouterr().out
    assert all(f"  {name} " in output for name in tasks.TASKS)
    code = "from experiments import apply; apply._parse(['denoise'])"
    assert imported(code, ["jax", "flax", "skimage", "sklearn", "matplotlib"]) == "[]"


def test_a_run_gets_table_picture_and_section(run):
    quick = "--set levels=0.5 --set corruptions=gaussian".split()
    code, printed = applied(["denoise", "--run", str(run.dir), *quick])
    assert code == 0 and "total variation" in printed
    facts = json.loads((run.dir / "task-denoise.json").read_text())
    assert facts["data"] == "digits" and facts["options"]["levels"] == [0.5]
    assert {m["objective"] for m in facts["models"]} == {"ae", "vae"}
    assert "250 test images" in facts["text"]
    for row in facts["metrics"]:
        assert f"{row['psnr [dB]']:#.3g}".rstrip(".") in printed
    assert (run.dir / "task-denoise.png").read_bytes()[:4] == b"\x89PNG"
    page = (run.dir / "report.html").read_text()
    assert "task-denoise" in page and "Every setting" in page


def test_the_best_on_validation_data_is_the_default(run):
    rows = [r for r in run.rows if r["split"] == "valid" and r["epoch"] == 4]
    for model in run.best():
        ours = [r for r in rows if r["objective"] == model.config.objective]
        best = min(ours, key=lambda r: r["mse"])
        got = (model.latent_dim, model.config.seed)
        assert got == (best["latent_dim"], best["seed"])
    (chosen,) = run.best(objective="ae", latent_dim=2, seed=1)
    assert (chosen.latent_dim, chosen.config.seed) == (2, 1)
    assert [m.latent_dim for m in run.models(objective="vae", seed=0)] == [2, 5]
    assert len(run.models(latent_dim={2, 5}, objective="ae")) == 4


def test_bad_words_are_explained(run, capsys):
    where = ["--run", str(run.dir)]
    assert "did you mean 'denoise'" in refused(["denoize"], capsys)
    assert "latent_dim=3" in refused(["denoise", *where, "--latent-dim", "3"], capsys)
    wrong = ["denoise", *where, "--set", "strength=2"]
    assert "option of denoise 'strength' is unknown" in refused(wrong, capsys)
    assert "no run" in refused(["denoise", "--run", "nowhere"], capsys)


def test_unsuitable_data_are_named_before_training(capsys, tmp_path):
    np.savez("flat.npz", x=np.random.default_rng(0).random((50, 12), np.float32))
    text = refused(["denoise", "--dataset", "flat.npz"], capsys)
    assert "needs images" in text and "--dataset" in text
    assert [p.name for p in tmp_path.iterdir()] == ["flat.npz"]


def test_classes_of_a_data_set(digits):
    only = aejax.data.load("digits:0-2,7")
    for split in ("train", "valid"):
        whole, part = getattr(digits, split), getattr(only, split)
        rows = np.isin(whole.y, [0, 1, 2, 7])
        np.testing.assert_array_equal(part.x, whole.x[rows])
        assert set(np.unique(part.y)) == {0, 1, 2, 7}
    np.testing.assert_array_equal(only.test.x, digits.test.x)
    with pytest.raises(config.InputError, match="is no label"):
        aejax.data.load("digits:12")
