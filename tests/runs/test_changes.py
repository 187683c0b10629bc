"""A run is not gone on with where data, programs or devices are others."""

import jax
import numpy as np
import pytest
from PIL import Image

import aejax
from aejax import data
from aejax.runs import plan, provenance
from tests.runs.common import sweep


def test_a_run_cut_into_other_programs_is_left_alone(copy, whole, monkeypatch):
    """By a version that cuts otherwise, say: as many programs, of other members."""
    before = {p: p.read_bytes() for p in copy.rglob("*") if p.is_file()}
    one_each = lambda members, *more: [members[:1], members[1:]]  # noqa: E731
    monkeypatch.setattr(plan, "bands", one_each)
    with pytest.raises(aejax.InputError, match="blocks|members of each program"):
        sweep(copy, resume=True)
    after = {p: p.read_bytes() for p in copy.rglob("*") if p.is_file()}
    assert before == after


@pytest.mark.parametrize("change", ["members vmapped together", "kind of device"])
def test_places_of_other_digits_are_refused(copy, monkeypatch, change):
    more = {}
    if change == "members vmapped together":
        more, message = (
            {"vmap": 2},
            r"vmap: \[1, 1\] there, \[2, 2\] here",
        )
    else:
        real, message = provenance.inputs, "kind of device: cpu there, H900 here"
        other = lambda *a: real(*a) | {"kind of device": "H900"}  # noqa: E731
        monkeypatch.setattr(provenance, "inputs", other)
    with pytest.raises(aejax.InputError, match=message):
        sweep(copy, resume=True, **more)


def _npz(folder, rng):
    x = rng.random((60, 5), np.float32)
    np.savez(folder / "mine.npz", x=x, y=np.arange(60) % 2)
    return folder / "mine.npz"


def _images(folder, rng):
    (folder / "images").mkdir(exist_ok=True)
    for i in range(30):
        pixels = rng.integers(0, 255, (4, 4), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{i}.png")
    return folder / "images"


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (_npz, lambda path: str(path)),
        (_npz, lambda path: f"{path}:1"),
        (_npz, lambda path: "~/mine.npz"),
        (_images, lambda path: str(path)),
    ],
)
def test_changed_data_are_noticed_under_any_name(tmp_path, monkeypatch, make, name):
    monkeypatch.setenv("HOME", str(tmp_path))
    rng, prints = np.random.default_rng(0), []
    dataset = name(make(tmp_path, rng))
    config = aejax.Config(dataset=dataset, hidden=(8,), batch_size=4, epochs=1)
    for change in (False, False, True):
        if change:
            make(tmp_path, rng)
        planned = plan.plan(config, {})
        inputs = provenance.inputs(planned, jax.devices())
        prints.append(inputs[f"data {dataset}"])
    assert prints[0] == prints[1] != prints[2]
    if ":" not in dataset:
        return
    aejax.sweep(config, out=tmp_path / "run")
    make(tmp_path, rng)
    with pytest.raises(aejax.InputError, match="another configuration: data "):
        aejax.sweep(config, out=tmp_path / "run", resume=True)


def test_a_fingerprint_is_of_all_values():
    digits = data.load("digits")
    one = data.fingerprint(digits)
    changed = digits.train.x.copy()
    changed[-1, -1, -1, -1] ^= 1
    others = [
        digits._replace(train=digits.train._replace(x=changed)),
        digits._replace(test=digits.test._replace(y=digits.test.y[::-1])),
        digits._replace(scale=255.0),
        digits._replace(likelihood="gaussian"),
        digits._replace(train=digits.valid, valid=digits.train),
    ]
    assert len({one, *map(data.fingerprint, others)}) == 6
    assert data.fingerprint(digits._replace(name="other")) == one
