"""An export for the Hugging Face Hub: what its client is given."""

import importlib.util
import pathlib
import re

from aejax import config as configs
from aejax.exports import folder as folders

PACKAGE = "huggingface_hub"


def check(name: str) -> None:
    """Whether it can be the name of a repository.

    Raises:
      InputError: it cannot.
    """
    part = r"[A-Za-z0-9][\w.-]{0,95}"
    if not re.fullmatch(rf"({part}/)?{part}", name):
        raise configs.InputError(
            f"'{name}' is no name of a repository; say OWNER/NAME, of letters, digits, "
            "'-', '_' and '.'"
        )


def plan(folder: pathlib.Path, name: str) -> str:
    """What would be uploaded, and by which calls."""
    files = sorted(folder.iterdir())
    sizes = [path.stat().st_size for path in files]
    width = max(len(path.name) for path in files)
    lines = [
        f"  {path.name:{width}} {size:>12,} bytes"
        for path, size in zip(files, sizes, strict=True)
    ]
    total = f"{len(files)} files, {sum(sizes):,} bytes, of {folder}, to {name}:"
    return "\n".join(
        [
            total,
            *lines,
            f"huggingface_hub.HfApi().create_repo(repo_id={name!r}, private=True, "
            "exist_ok=True)",
            f"huggingface_hub.HfApi().upload_folder(folder_path={str(folder)!r}, "
            f"repo_id={name!r})",
        ]
    )


def push(folder: pathlib.Path, name: str) -> str | None:
    """Uploads an export by the client, with its user's own credentials.

    A repository that is not there yet is made, a private one: its user makes it public.

    Returns:
      What the client answers; None where it is not installed, and nothing was done.

    Raises:
      InputError: it is no export, or the client fails.
    """
    folders.facts(folder)
    if not importlib.util.find_spec(PACKAGE):
        return None
    import huggingface_hub

    api = huggingface_hub.HfApi()
    try:
        api.create_repo(repo_id=name, private=True, exist_ok=True)
        return str(api.upload_folder(folder_path=str(folder), repo_id=name))
    except Exception as error:  # of the network, of rights, of the client's own kinds
        raise configs.InputError(
            f"'{folder}' was not uploaded to '{name}': {type(error).__name__}: {error}"
        ) from error
