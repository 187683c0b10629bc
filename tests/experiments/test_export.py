"""Exports from the command line: which model, what is written, printed or refused."""

import json
import sys
import types

import pytest

import aejax
from aejax import exports
from experiments import export


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "small"
    base = aejax.Config(hidden=(8,), epochs=1, eval_every=1)
    return aejax.sweep(base, {"latent_dim": [2, 3], "seed": [0, 1]}, out=out)


@pytest.fixture(autouse=True)
def no_hub(monkeypatch):
    """Nothing is ever uploaded from here."""
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)


def refused(argv, capsys):
    assert export.main([str(word) for word in argv]) == 2
    text = capsys.readouterr().err.strip()
    assert text.startswith("error: ") and "\n" not in text
    return text


def test_help_and_bad_words_answer_without_jax(imported, capsys):
    assert export.FORMATS == exports.FORMATS
    assert export.main(["--help"]) == 0
    assert "stablehlo" in capsys.readouterr().out
    code = "from experiments import export\nassert export.main(['x', '--where', 'a=1,2'"
    code += "]) == export.main(['x', '--format', 'onx']) == 2"
    code = f"import contextlib, io, sys\nsys.stderr = io.StringIO()\n{code}\n"
    code += "sys.stderr = sys.__stderr__"
    assert imported(code, ["jax", "flax", "numpy"]) == "[]"


def test_one_member_is_exported_into_the_run(run, capsys):
    argv = [str(run.dir), "--where", "latent_dim=3", "--where", "seed=1"]
    assert export.main(argv) == 0
    folder = run.dir / "exports" / "npz-3"
    assert str(folder) in capsys.readouterr().out
    config = aejax.load(folder).config
    assert (config.latent_dim, config.seed) == (3, 1)
    assert aejax.open_run(run.dir).problems == []
    other = [str(folder), "--format", "stablehlo", "--out", str(run.dir / "other")]
    assert export.main(other) == 0
    assert aejax.load(run.dir / "other").config == config


def test_what_is_not_one_model_is_refused(run, capsys, tmp_path):
    assert "say also which of" in refused([run.dir, "--seed", 0], capsys)
    assert "did you mean 'latent_dim'" in refused(
        [run.dir, "--where", "latent=3"], capsys
    )
    assert "did you mean 'onnx'" in refused([run.dir, "--format", "onx"], capsys)
    words = [run.dir, "--seed", 0, "--latent-dim", 2, "--out", tmp_path]
    (tmp_path / "mine").write_text("")
    assert "holds other things: mine" in refused(words, capsys)
    assert "no name of a repository" in refused(
        [*words[:5], "--push-to-hub", "a/b/c"], capsys
    )


def test_an_upload_is_only_printed_without_the_client(run, capsys, tmp_path):
    words = "--seed 0 --latent-dim 2 --push-to-hub me/digits --out".split()
    assert export.main([str(run.dir), *words, str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    sizes = {p.name: p.stat().st_size for p in (tmp_path / "out").iterdir()}
    for name, size in sizes.items():
        assert any(
            line.split()[:2] == [name, f"{size:,}"] for line in printed.splitlines()
        )
    assert "upload_folder(folder_path=" in printed and "'me/digits'" in printed
    assert printed.endswith("nothing was uploaded: --yes uploads it\n")
    assert export.main([str(run.dir), *words, str(tmp_path / "out"), "--yes"]) == 0
    printed = capsys.readouterr().out
    assert printed.endswith("nothing was uploaded: pip install huggingface_hub\n")


def test_the_client_is_given_the_folder(run, capsys, tmp_path, monkeypatch):
    calls = []

    class HfApi:
        def create_repo(self, **given):
            calls.append(given)

        def upload_folder(self, **given):
            calls.append(given)
            if given["repo_id"] == "others/digits":
                raise PermissionError("403")
            return "there"

    client = types.ModuleType("huggingface_hub")
    client.HfApi, client.__spec__ = HfApi, types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "huggingface_hub", client)
    words = [str(run.dir), *"--seed 0 --latent-dim 2 --out".split()]
    words += [str(tmp_path / "out"), "--push-to-hub"]
    assert export.main([*words, "me/digits"]) == 0
    assert calls == [] and "--yes uploads it" in capsys.readouterr().out
    assert export.main([*words, "me/digits", "--yes"]) == 0
    assert capsys.readouterr().out.endswith("uploaded: there\n")
    assert calls == [
        {"repo_id": "me/digits", "private": True, "exist_ok": True},
        {"repo_id": "me/digits", "folder_path": str(tmp_path / "out")},
    ]
    text = refused([*words, "others/digits", "--yes"], capsys)
    assert "was not uploaded to 'others/digits': PermissionError: 403" in text
    assert json.loads((tmp_path / "out" / "config.json").read_text())["seed"] == 0
