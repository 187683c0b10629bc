"""Text by lines: ids, lengths, symbols, and what is refused."""

import numpy as np
import pytest

from aejax import config, data
from aejax.data import dataset, text


def write(folder, content):
    path = folder / "lines.txt"
    path.write_text(content, encoding="utf-8")
    return str(path)


def test_lines_become_sequences_and_back(tmp_path):
    lines = [f"Grüße, {i}!" for i in range(40)] + ["x" * 300]
    result = data.load(write(tmp_path, "\n".join(lines) + "\n\n   \n"))
    assert result.likelihood == "tokens" and result.scale == len(result.symbols) - 1
    assert set(result.symbols) == set("".join(lines))
    parts = [getattr(result, s) for s in dataset.SPLITS]
    read = [
        line
        for part in parts
        for line in text.to_lines(part.x / result.scale, result.symbols, part.length)
    ]
    pieces = ["x" * 128, "x" * 128, "x" * 44]
    assert sorted(read) == sorted([*lines[:-1], *pieces])
    for part in parts:
        assert part.x.dtype == np.uint8 and part.x.shape[1:] == (128, 1)
        beyond = np.arange(128)[None] >= part.length[:, None]
        assert (part.x[..., 0][beyond] == 0).all()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "0 distinct characters"),
        ("aaa\naa\n", "1 distinct characters"),
        ("".join(map(chr, range(300, 600))), "300 distinct characters"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, content, reason):
    with pytest.raises(config.InputError, match=reason):
        data.load(write(tmp_path, content))


def test_other_bytes_and_other_symbols_are_refused(tmp_path):
    path = tmp_path / "bytes.txt"
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(config.InputError, match="no readable UTF-8"):
        data.load(str(path))
    with pytest.raises(config.InputError, match=r"\['z'\] are not among the symbols"):
        text.to_ids(["az"], "ab", 4)
