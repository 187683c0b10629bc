"""Bad input is refused in one paragraph, and nothing is left half written."""

import json
import os
import pathlib
import sys

import pytest

import aejax
from aejax.exports import npz

ANY = dict(objective="vae", latent_dim=2)


def listing(folder):
    return {p: p.is_file() and p.read_bytes() for p in sorted(folder.rglob("*"))}


def refused(call, message):
    with pytest.raises(aejax.InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_an_unknown_format_is_hinted_at(run, tmp_path):
    refused(
        lambda: run.export(tmp_path / "out", "safetensor", **ANY),
        "format 'safetensor' is unknown; did you mean 'safetensors'",
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format", ["safetensors", "onnx"])
def test_a_missing_package_is_named(run, tmp_path, monkeypatch, format):
    monkeypatch.setitem(sys.modules, format, None)
    refused(
        lambda: run.export(tmp_path / "out", format, **ANY),
        rf'needs {format}, .*pip install "aejax\[{format}\]"',
    )
    assert not (tmp_path / "out").exists()


def test_extras_are_imported_by_their_formats_alone(imported, tmp_path):
    code = (
        "import aejax\nfrom aejax import autoencoder\nfrom aejax.exports import "
        "card, functions, hub, npz, onnx, onnx_rules, safetensors, stablehlo\n"
        "from aejax.runs import run\n"
    )
    extras = ["safetensors", "onnx", "onnxruntime", "huggingface_hub", "jax2onnx"]
    assert imported(code, extras) == "[]"


def test_other_things_in_the_folder_are_left_alone(run, tmp_path):
    (tmp_path / "thesis.tex").write_text("chapter 1")
    before = listing(tmp_path)
    refused(lambda: run.export(tmp_path, **ANY), "holds other things: thesis.tex;")
    assert listing(tmp_path) == before
    folder = run.export(tmp_path / "out", **ANY)
    (folder / "notes.txt").write_text("mine")
    refused(lambda: run.export(folder, **ANY), "other things: notes.txt")
    (tmp_path / "facts").mkdir()
    for text in ('{"of": "others"}', "[1]", "no JSON", '{"files": 3}', "{}"):
        (tmp_path / "facts" / "model.json").write_text(text)
        message = "holds other things: model.json; export to a folder that is new"
        refused(lambda: run.export(tmp_path / "facts", **ANY), message)


def test_an_export_is_replaced_by_one_of_its_format(run, tmp_path):
    folder = run.export(tmp_path / "out", **ANY)
    run.export(folder, objective="ae", latent_dim=5)
    assert aejax.load(folder).config.objective == "ae"
    before = listing(tmp_path)
    refused(
        lambda: run.export(folder, "stablehlo", **ANY),
        "holds an export of format 'npz', which one of 'stablehlo' does not replace",
    )
    assert listing(tmp_path) == before


def test_an_interrupted_export_leaves_what_was_there(run, tmp_path, monkeypatch):
    folder = run.export(tmp_path / "out", **ANY)
    before = listing(tmp_path)

    def full(parts, arrays, new):
        (new / "params.npz").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(npz, "write", full)
    message = "out' cannot be written: .*No space left.*give another folder"
    refused(lambda: run.export(folder, objective="ae", latent_dim=5), message)
    assert listing(tmp_path) == before
    real = os.rename

    def rename(source, target):
        if os.path.basename(source) == "new":
            raise PermissionError(13, "Permission denied")
        real(source, target)

    monkeypatch.undo()
    monkeypatch.setattr(os, "rename", rename)
    refused(lambda: run.export(folder, **ANY), "cannot be written: .*Permission")
    assert listing(tmp_path) == before


def test_a_full_disk_is_one_of_safetensors_too(run, tmp_path, monkeypatch):
    reason = 'pip install "aejax[safetensors]"'
    numpy = pytest.importorskip("safetensors.numpy", reason=reason)

    def full(*given):
        raise sys.modules["safetensors"].SafetensorError("No space left on device")

    monkeypatch.setattr(numpy, "save_file", full)
    message = "out' cannot be written: No space left.*give another folder"
    refused(lambda: run.export(tmp_path / "out", "safetensors", **ANY), message)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(run, tmp_path):
    (tmp_path / "file").write_text("mine")
    refused(lambda: run.export(tmp_path / "file" / "out", **ANY), "cannot be written")
    refused(lambda: run.export(tmp_path / "file", **ANY), "is a file; export to a fol")
    (tmp_path / "closed").mkdir(mode=0o500)
    if os.access(tmp_path / "closed", os.W_OK):  # root may write anywhere
        pytest.skip("this user may write into read-only folders")
    refused(lambda: run.export(tmp_path / "closed" / "out", **ANY), "cannot be written")


def test_what_names_no_folder_is_refused(run, tmp_path, monkeypatch):
    (tmp_path / "loop").symlink_to("loop")
    for name in (None, "", "a\0b", 3, "a" * 300, tmp_path / "loop" / "out"):
        refused(
            lambda n=name: run.export(n, **ANY), "no name of a folder|cannot be writt"
        )
    (tmp_path / "here" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here" / "below")
    for name in (".", tmp_path / "here" / "below"):
        refused(lambda n=name: run.export(n, **ANY), "is the current folder, and")
    folder = run.export("out", **ANY)
    assert folder == pathlib.Path.cwd() / "out" and pathlib.Path.cwd().is_dir()


def test_a_replaced_folder_keeps_its_mode(run, tmp_path):
    (tmp_path / "out").mkdir(mode=0o750)
    for _ in range(2):
        run.export(tmp_path / "out", **ANY)
        assert (tmp_path / "out").stat().st_mode & 0o777 == 0o750


def test_an_edited_card_is_not_replaced(run, tmp_path):
    folder = run.export(tmp_path / "out", **ANY)
    (folder / "README.md").write_text("my own words")
    before = listing(tmp_path)
    refused(lambda: run.export(folder, **ANY), "README.md was edited since")
    assert listing(tmp_path) == before
    (folder / "README.md").unlink()
    run.export(folder, **ANY)


def test_what_comes_while_it_writes_is_kept(run, tmp_path, monkeypatch):
    """Whether it comes before the folder is moved away, or just then."""
    folder = run.export(tmp_path / "out", **ANY)
    write, rename = npz.write, os.rename

    def slowly(*given):
        write(*given)
        (folder / "notes.txt").write_text("mine")

    def late(source, target):
        if source == folder:
            (folder / "notes.txt").write_text("mine")
        rename(source, target)

    for place, name, change in ((npz, "write", slowly), (os, "rename", late)):
        before = listing(folder)
        with monkeypatch.context() as patch:
            patch.setattr(place, name, change)
            refused(lambda: run.export(folder, **ANY), "out' holds other.*notes.txt")
        assert listing(folder) == before | {folder / "notes.txt": b"mine"}
        assert list(tmp_path.iterdir()) == [folder]
        (folder / "notes.txt").unlink()


def test_the_only_copy_is_never_deleted(run, tmp_path, monkeypatch):
    folder = run.export(tmp_path / "out", **ANY)
    before, rename = (folder / "params.npz").read_bytes(), os.rename

    def once(source, target):
        if target == folder:
            raise PermissionError(13, "Permission denied")
        rename(source, target)

    monkeypatch.setattr(os, "rename", once)
    refused(lambda: run.export(folder, **ANY), "could not be put back .*lies in '.*old")
    (old,) = tmp_path.glob(".aejax-*/old/out")
    assert (old / "params.npz").read_bytes() == before
    # As after the end of a process at that place.
    refused(lambda: aejax.load(folder), "does not exist; .*/old/out' is what was there")


def damage(folder, how):
    path = folder / how.partition(" ")[0]
    data = path.read_bytes()
    if how.endswith("missing"):
        path.unlink()
    elif how.endswith("truncated"):
        path.write_bytes(data[: len(data) // 2])
    elif how.endswith("changed"):
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    else:
        facts = json.loads(data)
        facts["data"] = {"name": 3} if how.endswith("emptied") else facts["data"]
        facts["format"] = 2 if how.endswith("newer") else facts["format"]
        path.write_text(json.dumps([facts] if how.endswith("list") else facts))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("params.npz missing", "damaged export: params.npz: .*No such file.* again"),
        ("params.npz truncated", "params.npz: it is not as it was written; export it"),
        ("params.npz changed", "params.npz: it is not as it was written"),
        ("config.json truncated", "damaged export: config.json"),
        ("model.json truncated", "damaged export: model.json"),
        ("model.json list", "model.json: it holds no object"),
        ("model.json emptied", "damaged export: model.json: "),
        ("model.json newer", "an export of format 2, by aejax .* reads format 1"),
        ("model.json missing", "is no export: it has no model.json$"),
    ],
)
def test_a_damaged_export_is_said_to_be(run, tmp_path, how, message):
    folder = run.export(tmp_path / "out", **ANY)
    damage(folder, how)
    refused(lambda: aejax.load(folder), message)


def test_a_folder_that_is_no_export_is_refused(tmp_path):
    refused(lambda: aejax.load(tmp_path / "none"), "does not exist")
    (tmp_path / "run.json").write_text("{}")
    refused(lambda: aejax.load(tmp_path), "is no export: .*it is a run: aejax.open_run")
    refused(lambda: aejax.load(tmp_path / "run.json"), "is a file")
