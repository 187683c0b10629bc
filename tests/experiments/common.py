"""A sweep of seconds, and what a refusal must be."""

import pathlib

from experiments import sweep

TINY = "--preset smoke --hidden 16 --epochs 2 --eval-every 1".split()


def tree(folder):
    """Everything below a folder, with the time of its last change."""
    return {p: p.stat().st_mtime_ns for p in sorted(folder.rglob("*"))}


def refused(argv, capsys, box=False):
    """The one paragraph of a refusal, which must not have written anything."""
    before = tree(pathlib.Path.cwd())
    assert sweep.main(argv) == 2
    assert tree(pathlib.Path.cwd()) == before
    printed = capsys.readouterr()
    text = printed.err.strip()
    assert text and not printed.out.strip() and "Traceback" not in text
    if not box:  # tyro's own messages are in a box
        assert text.startswith("error: ") and text.count("\n") < 8
    return text
