"""Files of an export that are damaged, or that somebody made to do harm."""

import hashlib
import json
import os
import zipfile

import numpy as np
import pytest

import aejax


@pytest.fixture
def folder(run, tmp_path):
    return run.export(tmp_path / "out", objective="ae", latent_dim=2)


def rewrite(folder, change, name="model.json"):
    """An object in JSON, changed, of which model.json has the digest."""
    entry = json.loads((folder / name).read_text())
    change(entry)
    (folder / name).write_text(json.dumps(entry))
    if name != "model.json":
        resign(folder, name)


def resign(folder, name):
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    rewrite(folder, lambda facts: facts["files"].update({name: digest}))


def refused(folder, message):
    with pytest.raises(aejax.InputError, match=message) as caught:
        aejax.load(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1500


FILES = [None, [], {}, 3, {"params.npz": "0"}]
NAMES = ["../x", "a/b", "/etc/passwd", "..", ".", "", "a\0b"]
FACTS = [
    ("step", -1),
    ("step", 1.5),
    ("step", True),
    ("step", 10**9),
    ("format", True),
    ("format", 1.0),
    ("kind", None),
    ("kind", ["npz"]),
    ("kind", "card"),
    ("origin", None),
    ("origin", [1]),
    ("origin", {"metrics": 3}),
    ("origin", {"metrics": {"mse": "low"}}),
    ("origin", {"metrics": {"mse": 1}, "setting": {"mse": [1]}}),
    ("origin", {"versions": [1]}),
    ("data", None),
]


@pytest.mark.parametrize("files", FILES, ids=str)
def test_files_are_an_object_of_all_files(folder, files):
    rewrite(folder, lambda facts: facts.update(files=files))
    refused(folder, "damaged export: model.json: its 'files' are not those")


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_files_are_files_of_the_folder(folder, name):
    rewrite(folder, lambda facts: facts["files"].update({name: "0"}))
    refused(folder, "damaged export: model.json: '.*' is no file of an export")


@pytest.mark.parametrize("name", ["a" * 300, "\ud800"], ids=["long", "surrogate"])
def test_names_that_no_file_can_have(folder, name):
    rewrite(folder, lambda facts: facts["files"].update({name: "0"}))
    refused(folder, "damaged export: ")


def test_nothing_but_files_is_read(folder, run):
    (folder / "params.npz").unlink()
    os.mkfifo(folder / "params.npz")
    refused(folder, "damaged export: params.npz: it is no file")
    (folder / "params.npz").unlink()
    (folder / "params.npz").mkdir()
    (folder / "params.npz" / "thesis").write_text("mine")
    refused(folder, "damaged export: params.npz: it is no file")
    with pytest.raises(aejax.InputError, match="holds other things: params.npz"):
        run.export(folder, objective="ae", latent_dim=2)
    (folder / "model.json").unlink()
    os.mkfifo(folder / "model.json")
    with pytest.raises(aejax.InputError, match="holds other things: README.md, conf"):
        run.export(folder, objective="ae", latent_dim=2)
    with pytest.raises(aejax.InputError, match="is no export: it has no model.json"):
        aejax.load(folder)


@pytest.mark.parametrize(("name", "value"), FACTS, ids=str)
def test_facts_are_checked(folder, name, value):
    rewrite(folder, lambda facts: facts.update({name: value}))
    refused(folder, "damaged export: model.json: |an export of format|format '.*' is")


@pytest.mark.parametrize("scale", [0, -1, True, None, "1", float("inf")])
def test_a_scale_is_a_positive_number(folder, scale):
    rewrite(folder, lambda facts: facts["data"].update(scale=scale))
    refused(folder, "damaged export: model.json: ")


def test_json_may_not_be_deep(folder):
    (folder / "model.json").write_text('{"a":' * 100_000)
    refused(folder, "damaged export: model.json: ")


def test_partial_origins_are_read(folder, tmp_path):
    for origin in ({}, {"command": "x"}, {"versions": {"jax": "1"}}):
        rewrite(folder, lambda facts, new=origin: facts.update(origin=new))
        aejax.load(folder).export(tmp_path / "again")


@pytest.mark.parametrize("kind", [np.complex64, "S4", object])
def test_arrays_are_of_their_kind(folder, kind):
    with np.load(folder / "params.npz") as file:
        good = dict(file)
    for name in ("net/output_bias", "density/means"):
        arrays = dict(good)
        arrays[name] = arrays[name].astype(kind)
        np.savez(folder / "params.npz", **arrays)
        resign(folder, "params.npz")
        refused(
            folder, "params.npz: ValueError: Obj|type .* of '(net/output_b|density)"
        )


def test_archives_are_wrong_in_many_ways(folder):
    """Cut, encrypted, compressed by what Python has not, or no archive at all."""
    path = folder / "params.npz"
    good = path.read_bytes()
    with zipfile.ZipFile(path) as file:
        place = file.infolist()[0].header_offset
    directory = good.index(b"PK\1\2")
    encrypted, unknown = bytearray(good), bytearray(good)
    encrypted[place + 6] |= 1
    encrypted[directory + 8] |= 1
    unknown[place + 8 : place + 10] = unknown[directory + 10 : directory + 12] = b"cc"
    array = b"\x93NUMPY\x01\x00"
    for data in (good[:500], b"", encrypted, unknown, array):
        path.write_bytes(bytes(data))
        resign(folder, "params.npz")
        refused(folder, "damaged export: params.npz: ")
