"""Lossy compression by quantised codes. Ballé et al., ICLR 2017; rANS: Duda, 2013.

One file of integers for all test images. Beside it PCA with the same quantiser and
coder; JPEG, WebP, PNG; and of VAEs the lossless rate that bits-back coding would reach.
"""

import io
import itertools
import math

import numpy as np

from aejax import data as datasets
from aejax import evaluate, tasks
from aejax import model as model_lib
from aejax.tasks import coding, compare, panels

needs = {"images"}
choose, all_models = {"objective": {"ae", "vae"}}, True
RATE, PSNR = "rate [bytes/image]", compare.PSNR
LIMITS = """Steps are relative to the rms spread of training codes, to which the coder's
tables are fitted. PCA is fitted to training images. JPEG, WebP and PNG make a file of
each image or one of all beside each other. Bits-back is a net rate, -ELBO / ln 2 at one
draw of z under the likelihood of the stored grey levels, computed without a file: what
a VAE trained with likelihood=categorical minimises, and others not. Floats and models
of binarised data or without a likelihood have none."""


def _front(points: list[tuple]) -> list[tuple]:
    """Of (rate, PSNR, …) those of higher PSNR than all of a lower rate."""
    kept: list[tuple] = []
    for point in sorted(points, key=lambda p: p[:2]):
        if not kept or point[1] > kept[-1][1]:
            kept.append(point)
    return kept


def systems(models: tasks.Models, data: datasets.Dataset) -> dict[str, tuple]:
    """{name: (a model or PCA of its size, its training codes (n, k))}.

    Both have encode and decode; a coder's tables are fitted to training codes.
    """
    train = tasks.held_out(data, "train", 10_000).x
    sizes = {min(m.latent_dim, len(train), train[0].size) for m in models}
    pcas = {f"pca k={k}": tasks.PCA(train, k) for k in sorted(sizes)}
    coded = {name: (pca, pca.encode(train)) for name, pca in pcas.items()}
    named = tasks.named(models).items()
    return coded | {name: (model, model.training_codes()[0]) for name, model in named}


def _coded(made, test, valid, steps, psnr, picks):
    """Points (rate, PSNR on valid, row, x_hat to show) by system; files; tables."""
    points: dict[str, list[tuple]] = {}
    files, tables, n = {}, {}, len(test.x)
    for name, (model, z) in made.items():
        system, _, rest = name.partition(" ")
        codes, before = (tasks.codes(model, part) for part in (test, valid))
        for step in steps:
            coder = coding.fit(z, step)
            file = coding.encode(coder, q := coder.quantise(codes))
            read = coding.decode(coder, file)
            assert np.array_equal(read, q), "a file decodes to other integers"
            x_hat = model.decode(coder.dequantise(read), test.y)
            path = f"compressed/{name} step{step:g}.bin"
            path = path.replace(" ", "-").replace("=", "")
            row = {"system": system, "setting": f"{rest} step {step:g}".strip()}
            row |= {RATE: len(file) / n, PSNR: psnr(test.x, x_hat), "file": path}
            size = len(coding.encode(coder, q := coder.quantise(before)))
            score = psnr(valid.x, model.decode(coder.dequantise(q), valid.y))
            point = size / len(valid.x), score, row, x_hat[picks]
            points.setdefault(system, []).append(point)
            files[path] = file
            tables |= {f"{path}/{field}": a for field, a in coder._asdict().items()}
    return {s: _front(settings) for s, settings in points.items()}, files, tables


def _codecs(eight, test, qualities, psnr, limits, picks) -> dict[str, list[tuple]]:
    """The same points of JPEG and WebP, of images in 8 bits."""
    points: dict[str, list[tuple]] = {}
    low, scale = np.float32(limits[0]), np.float32(255 / (limits[1] - limits[0]))
    for kind, one, quality in itertools.product(
        ("jpeg", "webp"), (False, True), qualities
    ):
        size, read = coding.images(eight, kind, one, quality=quality)
        x_hat = read / scale + low
        row = {"system": kind + coding.ONE * one, "setting": f"quality {quality}"}
        row |= {RATE: size / len(test.x), PSNR: psnr(test.x, x_hat)}
        point = row[RATE], row[PSNR], row, x_hat[picks]
        points.setdefault(row["system"], []).append(point)
    return points


def _pictures(points: dict[str, list[tuple]], ours: list[tuple], clean: np.ndarray):
    """Curves, and images of every system nearest in rate to the middle of ours."""
    lines = {s: [(r[RATE], r[PSNR]) for *_, r, _ in g] for s, g in points.items()}
    goal, rows = ours[len(ours) // 2][0], [("original", "", clean)]
    for system, settings in points.items():
        *_, row, x_hat = min(settings, key=lambda p: abs(math.log(p[0] / goal)))
        rows.append((system, f"{row[RATE]:.3g} B, {row[PSNR]:.1f} dB", x_hat))
    title, axes = "rate and distortion", ("bytes per image", "PSNR [dB]")
    curves = panels.Curves(title, *axes, lines, "x")
    return [curves, panels.Images(f"nearest to {goal:.3g} bytes per image", rows)]


def apply(
    models: tasks.Models,
    data: datasets.Dataset,
    *,
    steps: tuple = (2.0, 1.0, 0.5, 0.25),
    qualities: tuple = (1, 10, 30, 60, 90),
    limit: int = 1000,
) -> tasks.Result:
    """Bytes per image and PSNR of test images, by latent size and step.

    Args:
      models: of images, with codes of numbers.
      steps: of the quantiser, in units of the rms spread of training codes.
      qualities: of JPEG and WebP, 0 to 100.
    """
    test, valid = (tasks.held_out(data, s, limit) for s in ("test", "valid"))
    peak, n, picks = datasets.peak(data), len(test.x), tasks.examples(test, 16)

    def psnr(x, x_hat):
        return float(evaluate.example_psnr(x, x_hat, peak).mean())

    limits, made = datasets.limits(data), systems(models, data)
    points, files, tables = _coded(made, test, valid, steps, psnr, picks)
    eight = np.rint((test.x - limits[0]) * (255 / peak)).clip(0, 255).astype(np.uint8)
    points |= _codecs(eight, test, qualities, psnr, limits, picks)
    ours = points[tasks.names(models)[0].split()[0]]
    pictures = _pictures(points, ours, test.x[picks])
    metrics = [row for settings in points.values() for *_, row, _ in settings]
    exact = coding.lossless(models, data, n)
    if exact:
        metrics += [{"system": s, "setting": "lossless", RATE: r} for s, r in exact]
        bars = {system: (rate,) * 3 for system, rate in exact}
        pictures.insert(1, panels.Bars("lossless", "bytes per image", bars))
    np.savez_compressed(buffer := io.BytesIO(), **tables)
    sizes = sorted(model_lib.count(m.params, m.latent_dim) for m in models)
    black = coding.images(np.zeros_like(eight[:1]), "jpeg", quality=1)[0]
    text = (
        f"{n} test images of {data.name}. Each .bin holds the integers of all of them; "
        "what is scored was made of what was read back. Of each system's settings "
        f"those are given that no other beats on {len(valid.x)} validation images. Not "
        f"counted is what a reader must have: encoder and decoder, {sizes[0]:,} to "
        f"{sizes[-1]:,} numbers of 4 bytes, and compressed/coders.npz. A black image "
        f"is {black} bytes of JPEG: headers dominate small images. {LIMITS}"
    )
    kept = {r["file"]: files[r["file"]] for r in metrics if "file" in r}
    kept["compressed/coders.npz"] = buffer.getvalue()
    return tasks.Result(metrics, pictures, text.replace("\n", " "), kept)
