"""Lossy compression by quantised codes. Ballé et al., ICLR 2017; rANS: Duda, 2013.

One file of integers for all test images. Beside it PCA with the same quantiser and
coder; JPEG, WebP, PNG; and of VAEs the lossless rate that bits-back coding would reach.
"""

import functools
import io
import itertools
import math
from collections.abc import Sequence

import numpy as np

from aejax import data as datasets
from aejax import model as model_lib
from aejax import panels, tasks, trained
from aejax.tasks import coding

needs = {"images"}
choose, every = {"objective": {"ae", "vae"}}, True
RATE, PSNR = "rate [bytes/image]", "psnr [dB]"
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


def _systems(models, data, shape):
    """(name, encode, decode, training codes) of PCA of the same sizes and of models."""
    train = tasks.held_out(data, "train", 10_000).x.reshape(-1, math.prod(shape))
    for k in sorted({min(m.latent_dim, *train.shape) for m in models}):
        pca = tasks.pca(train, k)

        def encode(part, pca=pca):
            return pca.transform(part.x.reshape(len(part.x), -1))

        def decode(z, y, pca=pca):
            return pca.inverse_transform(z).reshape(-1, *shape)

        yield f"pca k={k}", encode, decode, pca.transform(train)
    for name, model in zip(tasks.names(models), models, strict=True):
        code = functools.partial(tasks.codes, model)
        yield name, code, model.decode, model.training_codes()[0]


def apply(
    models: Sequence[trained.Trained],
    data: datasets.Dataset,
    *,
    steps: tuple = (2.0, 1.0, 0.5, 0.25),
    qualities: tuple = (1, 10, 30, 60, 90),
    most: int = 1000,
) -> tasks.Result:
    """Bytes per image and PSNR of test images, by latent size and step.

    Args:
      models: of images, with codes of numbers.
      data: what they are tested on.
      steps: of the quantiser, in units of the rms spread of training codes.
      qualities: of JPEG and WebP, 0 to 100.
      most: test images, at most.
    """
    test, valid = (tasks.held_out(data, s, most) for s in ("test", "valid"))
    top, n, at = datasets.peak(data), len(test.x), tasks.examples(test, 16)

    def psnr(x, x_hat):
        return float(tasks.psnr(x, x_hat, top).mean())

    points: dict[str, list[tuple]] = {}  # (rate, PSNR on valid, row, x_hat to show)
    files, coders = {}, {}
    for name, code, back, z in _systems(models, data, test.x.shape[1:]):
        system, _, rest = name.partition(" ")
        codes, before = code(test), code(valid)
        for step in steps:
            coder = coding.fit(z, step)
            file = coding.encode(coder, q := coder.quantise(codes))
            found = coding.decode(coder, file)
            assert np.array_equal(found, q), "a file decodes to other integers"
            x_hat = back(coder.dequantise(found), test.y)
            path = f"compressed/{name} step{step:g}.bin"
            path = path.replace(" ", "-").replace("=", "")
            row = {"system": system, "setting": f"{rest} step {step:g}".strip()}
            row |= {RATE: len(file) / n, PSNR: psnr(test.x, x_hat), "file": path}
            size = len(coding.encode(coder, q := coder.quantise(before)))
            score = psnr(valid.x, back(coder.dequantise(q), valid.y))
            point = size / len(valid.x), score, row, x_hat[at]
            points.setdefault(system, []).append(point)
            files[path] = file
            coders |= {f"{path}/{field}": a for field, a in coder._asdict().items()}
    points = {system: _front(every) for system, every in points.items()}
    scale, low = 255 / top, 0.0 if top == 1 else float(data.train.x.min())
    eight = np.rint((test.x - low) * scale).clip(0, 255).astype(np.uint8)
    each = itertools.product(("jpeg", "webp"), (False, True), qualities)
    for kind, one, quality in each:
        size, read = coding.images(eight, kind, one, quality=quality)
        x_hat = read / np.float32(scale) + np.float32(low)
        row = {"system": kind + coding.ONE * one, "setting": f"quality {quality}"}
        row |= {RATE: size / n, PSNR: psnr(test.x, x_hat)}
        point = row[RATE], row[PSNR], row, x_hat[at]
        points.setdefault(row["system"], []).append(point)
    lines = {s: [(r[RATE], r[PSNR]) for *_, r, _ in e] for s, e in points.items()}
    ours = points[tasks.names(models)[0].split()[0]]
    goal, rows = ours[len(ours) // 2][0], [("original", "", test.x[at])]
    for system, every in points.items():
        *_, row, x_hat = min(every, key=lambda p: abs(math.log(p[0] / goal)))
        rows.append((system, f"{row[RATE]:.3g} B, {row[PSNR]:.1f} dB", x_hat))
    shown = [
        panels.Curves(
            "rate and distortion", "bytes per image", "PSNR [dB]", lines, "x"
        ),
        panels.Images(f"nearest to {goal:.3g} bytes per image", rows),
    ]
    metrics = [row for every in points.values() for *_, row, _ in every]
    exact = coding.lossless(models, data, n)
    if exact:
        metrics += [{"system": s, "setting": "lossless", RATE: r} for s, r in exact]
        bars = {system: (rate,) * 3 for system, rate in exact}
        shown.insert(1, panels.Bars("lossless", "bytes per image", bars))
    np.savez_compressed(buffer := io.BytesIO(), **coders)
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
    return tasks.Result(metrics, shown, text.replace("\n", " "), kept)
