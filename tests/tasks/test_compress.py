"""compress: what its files hold is what is scored."""

import io

import numpy as np

from aejax import evaluate, tasks
from aejax.tasks import coding

SIZES = {"latent_dim": [2, 8]}  # of models that all tests share


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
        assert row["psnr [dB]"] == evaluate.example_psnr(test.x, x_hat, 1.0).mean()
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
