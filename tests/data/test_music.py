"""Pieces of music from the grammar and from files of chorales."""

import json

import numpy as np
import pytest

from aejax import config, data
from aejax.data import __main__ as command
from aejax.data import dataset, midi, music

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("AEJAX_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def song(steps, low=40, high=80):
    """(T, 4), highest first, with rests below and notes that are held."""
    notes = RNG.integers(low, high, (steps // 2 + 1, 4)).repeat(2, 0)[:steps]
    notes = np.sort(np.where(RNG.random(notes.shape) < 0.2, 0, notes), 1)[:, ::-1]
    return notes * (RNG.random((steps, 1)) < 0.9)


def drums(steps):
    return (
        midi.write(song(steps)[:, :1])
        .replace(b"\x90", b"\x99")
        .replace(b"\x80", b"\x89")
    )


def test_tunes_are_distinct_and_always_the_same(capsys):
    loaded = data.load("tunes")
    x = np.concatenate([getattr(loaded, s).x for s in dataset.SPLITS])
    assert x.shape == (5000, 32, 4) and x.dtype == np.uint8
    assert len(np.unique(x, axis=0)) == 5000  # so splits share none
    assert loaded.likelihood == "tokens" and loaded.scale == x.max()
    again = music.tunes.__wrapped__()
    np.testing.assert_array_equal(again.test.x, loaded.test.x)
    pitch = midi.pitches(loaded)[x]
    assert pitch.min() > 30 and pitch.max() < 110
    # A cadence: all voices stay in the scale of the last half-bar's root.
    for piece in pitch[:50]:
        degrees = {(p - 60) % 12 for p in piece.ravel()}
        assert len(degrees) <= 7
    # The melody rests, and no voice is above it for long.
    assert (pitch[:, -8:, 0] == pitch[:, -8:-7, 0]).all()
    assert (pitch[..., 0] >= pitch[..., 1]).mean() > 0.98
    assert command.main(["prepare", "tunes"]) == 2
    assert "drawn whenever it is loaded" in capsys.readouterr().err
    (row,) = [row for row in data.describe() if row[0] == "tunes"]
    assert row[1:4] == ((32, 4), "tokens", "4,000 / 500 / 500")


def test_chorales_are_cut_at_bars_within_songs(places):
    given = {s: [song(n) for n in (40, 64, 31)] for s in dataset.SPLITS}
    text = {s: [a.astype(float).tolist() for a in each] for s, each in given.items()}
    # Chords of fewer voices and of more, and a rest as some files have it.
    text["valid"][1][0] = [70.0, 60]
    text["valid"][1][1] = [50, 70, 60, 40, 75]
    text["valid"][1][2] = [70, -1, 50, 45]
    path = places / "chorales.json"
    path.write_text(json.dumps(text))
    loaded = data.load(str(path))
    pitch = midi.pitches(loaded)
    want = {}
    for split in ("train", "test"):
        first, second, _ = given[split]
        want[split] = [
            first[:32],
            *(second[start : start + 32] for start in (0, 16, 32)),
        ]
    np.testing.assert_array_equal(pitch[loaded.test.x], want["test"])
    train = {p.tobytes() for p in pitch[loaded.train.x]}
    assert {p.tobytes() for p in want["train"]} <= train
    chords = [[70, 60, 0, 0], [75, 70, 60, 50], [70, 0, 50, 45]]
    np.testing.assert_array_equal(pitch[loaded.valid.x[1, :3]], chords)
    assert len(loaded.valid.x) == 4
    path.write_text(json.dumps(sum((text[s] for s in text), []) * 4))
    assert all(len(getattr(data.load(str(path)), s).x) for s in dataset.SPLITS)


def test_training_pieces_come_in_all_keys_that_fit():
    x = np.zeros((3, 32, 4), np.uint8)
    x[0, :, 0], x[1, 3, 2], x[2, :, 1], x[2, :, 3] = 5, 1, 20, 9
    got = music.transposed(x, 20.0)
    shifts = (range(-4, 7), range(7), range(-5, 1))
    want = [a + s * (a > 0) for a, each in zip(x, shifts, strict=True) for s in each]
    want = sorted(p.astype(np.uint8).tobytes() for p in want)
    assert sorted(p.tobytes() for p in got) == want


@pytest.mark.shared
def test_the_chorales_of_bach(shared_data):
    loaded = data.load(str(shared_data / "jsb-chorales-16th.json"))
    pitch = midi.pitches(loaded)
    assert [len(getattr(loaded, s).x) for s in dataset.SPLITS] == [35502, 1058, 1088]
    assert (pitch[1], pitch[-1]) == (36, 81)
    voices = pitch[loaded.train.x].reshape(-1, 4).mean(0)
    assert (np.diff(voices) < -4).all()  # soprano, alto, tenor, bass


def test_a_folder_of_midi_files_is_split_by_file(places):
    songs = [song(48, 40 + i, 70 + i) for i in range(12)]
    (places / "midi" / "more").mkdir(parents=True)
    for i, each in enumerate(songs):
        folder = places / "midi" / ("more" if i % 2 else "")
        (folder / f"{i}.mid").write_bytes(midi.write(each))
    loaded = data.load(str(places / "midi"))
    pitch = midi.pitches(loaded)
    got = [[p.tobytes() for p in pitch[getattr(loaded, s).x]] for s in dataset.SPLITS]
    assert [len(each) for each in got[1:]] == [2, 2]
    whose = {
        s[start : start + 32].tobytes(): i
        for i, s in enumerate(songs)
        for start in (0, 16)
    }
    files = [{whose[p] for p in each if p in whose} for each in got]
    assert [len(f) for f in files] == [10, 1, 1] and len(set.union(*files)) == 12


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", b"{", "holds no music"),
        ("a.json", b'{"test": []}', "holds no music"),
        ("a.json", b"[[[60]], [[60]], [[60]]]", "no song of two bars in train"),
        ("a.json", json.dumps([[[60]] * 32] * 2).encode(), "has 2 in train: too few"),
        (
            "a.json",
            b'{"train": [], "tunes": [[[60]]]}',
            "its lists tunes are no splits",
        ),
        ("a.json", b'{"train": [], "val": [], "dev": []}', "both 'val' and 'dev'"),
        *(
            (
                "a.json",
                f"[[], [[60], [50, {bad}]]]".encode(),
                f"step 1 of song 1.*{sentence}",
            )
            for bad, sentence in (
                ("72.5", "has 72.5"),
                ("true", "has True"),
                ("Infinity", "has inf"),
                ("-Infinity", "has -inf"),
                ("1e308", "has 1e.308"),
                ("128", "has 128: a note is a whole number from 1 to 127"),
                ("-7", "has -7"),
                ('"c"', "has c"),
            )
        ),
        ("folder/a.mid", b"MThd", "folder/a.mid' is no readable MIDI"),
    ],
)
def test_what_is_no_music_is_refused(places, name, content, reason):
    (places / "folder").mkdir()
    (places / name).write_bytes(content)
    for other in "bcd":
        (places / "folder" / f"{other}.mid").write_bytes(content)
    path = places / ("folder" if "/" in name else name)
    with pytest.raises(config.InputError, match=reason) as error:
        data.load(str(path))
    assert "/" not in name or "json" not in str(error.value)


def test_kinds_of_rest_and_chords_of_more_than_four(places):
    chord = [[60, None, 50, float("nan")], [60, 0, 50, -1], [36, 43, 52, 60, 64, 72]]
    chord += [[50, 0, 60, 0, 55, 0], []]
    path = places / "own.json"
    path.write_text(json.dumps({s: [chord * 8] * 3 for s in ("train", "dev", "test")}))
    loaded = data.load(str(path))
    want = [[60, 0, 50, 0]] * 2 + [[72, 64, 60, 52], [50, 60, 55, 0], [0] * 4]
    for x in (loaded.valid.x, loaded.test.x):
        np.testing.assert_array_equal(midi.pitches(loaded)[x[0, :5]], want)
        assert len(x) == 3


def test_songs_without_pieces_are_left_out(places):
    """Whatever their names: each of 12 orders puts other files into a split."""
    (places / "midi").mkdir()
    for i in range(8):
        (places / f"midi/song{i}.mid").write_bytes(midi.write(song(48)))
    for i in range(20):
        (places / f"midi/{'az'[i % 2]}{i}.mid").write_bytes(drums(48))
    (places / "midi/short.mid").write_bytes(midi.write(song(20)))
    assert [len(s.x) for s in data.load(str(places / "midi"))[2:4]] == [2, 2]


def test_midi_files_in_folders_called_splits(places):
    for i, split in enumerate(("train", "val", "test")):
        for j in range(3):
            path = places / "midi" / split / "more" / f"{j}.mid"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(midi.write(np.full((32, 1), 60 + i)))
    loaded = data.load(str(places / "midi"))
    pitch = midi.pitches(loaded)
    assert [set(pitch[s.x[..., 0]].ravel()) for s in loaded[2:4]] == [{61}, {62}]
    (places / "midi/0.mid").write_bytes(midi.write(song(48)))
    with pytest.raises(config.InputError, match="loose files lie beside"):
        data.load(str(places / "midi"))
    for path in [places / "midi/0.mid", *(places / "midi/train/more").iterdir()]:
        path.write_bytes(drums(48))
    (places / "midi/0.mid").unlink()
    problem = f"data set '{places}/midi' has no song of two bars in train"
    with pytest.raises(config.InputError, match=problem):
        data.load(str(places / "midi"))


def test_text_that_begins_with_a_nul_is_no_music(places):
    (places / "own.txt").write_text("\0abc\nabd\nabe\nabf\n")
    with pytest.raises(config.InputError, match="own.txt' is no readable.*NUL"):
        data.load(str(places / "own.txt"))
