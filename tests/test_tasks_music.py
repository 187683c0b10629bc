"""Music: pieces from files and from the grammar, MIDI there and back, the task."""

import io
import json
import struct
import time

import numpy as np
import pytest

import aejax
from aejax import config, data, tasks
from aejax.data import __main__ as command
from aejax.data import dataset, midi, music
from aejax.tasks import music as tasks_music

TASK = tasks.TASKS["music"]
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("AEJAX_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def held(line):
    """[(pitch, first step, steps)] of a voice, told another way than it is written."""
    notes = []
    for step, pitch in enumerate(line):
        if pitch and step and line[step - 1] == pitch:
            notes[-1][2] += 1
        elif pitch:
            notes.append([int(pitch), step, 1])
    return [tuple(note) for note in notes]


def song(steps, low=40, high=80):
    """(T, 4), highest first, with rests below and notes that are held."""
    notes = RNG.integers(low, high, (steps // 2 + 1, 4)).repeat(2, 0)[:steps]
    notes = np.sort(np.where(RNG.random(notes.shape) < 0.2, 0, notes), 1)[:, ::-1]
    return notes * (RNG.random((steps, 1)) < 0.9)


# Data --------------------------------------------------------------------------------


def test_tunes_are_distinct_and_always_the_same(capsys):
    found = data.load("tunes")
    x = np.concatenate([getattr(found, s).x for s in dataset.SPLITS])
    assert x.shape == (5000, 32, 4) and x.dtype == np.uint8
    assert len(np.unique(x, axis=0)) == 5000  # so splits share none
    assert found.likelihood == "symbols" and found.scale == x.max()
    again = music.tunes.__wrapped__()
    np.testing.assert_array_equal(again.test.x, found.test.x)
    pitch = midi.pitches(found)[x]
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
    assert row[1:4] == ((32, 4), "symbols", "4,000 / 500 / 500")


def test_chorales_are_cut_at_bars_and_never_across_songs(places):
    given = {s: [song(n) for n in (40, 64, 31)] for s in dataset.SPLITS}
    text = {s: [a.astype(float).tolist() for a in each] for s, each in given.items()}
    # Chords of fewer voices and of more, and a rest as some files have it.
    text["valid"][1][0] = [70.0, 60]
    text["valid"][1][1] = [50, 70, 60, 40, 75]
    text["valid"][1][2] = [70, -1, 50, 45]
    path = places / "chorales.json"
    path.write_text(json.dumps(text))
    found = data.load(str(path))
    pitch = midi.pitches(found)
    want = {}
    for split in ("train", "test"):
        first, second, _ = given[split]
        want[split] = [first[:32], *(second[at : at + 32] for at in (0, 16, 32))]
    np.testing.assert_array_equal(pitch[found.test.x], want["test"])
    train = {p.tobytes() for p in pitch[found.train.x]}
    assert {p.tobytes() for p in want["train"]} <= train
    chords = [[70, 60, 0, 0], [75, 70, 60, 50], [70, 0, 50, 45]]
    np.testing.assert_array_equal(pitch[found.valid.x[1, :3]], chords)
    assert len(found.valid.x) == 4
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
    found = data.load(str(shared_data / "jsb-chorales-16th.json"))
    pitch = midi.pitches(found)
    assert [len(getattr(found, s).x) for s in dataset.SPLITS] == [35502, 1058, 1088]
    assert (pitch[1], pitch[-1]) == (36, 81)
    voices = pitch[found.train.x].reshape(-1, 4).mean(0)
    assert (np.diff(voices) < -4).all()  # soprano, alto, tenor, bass


def test_a_folder_of_midi_files_is_split_by_file(places):
    songs = [song(48, 40 + i, 70 + i) for i in range(12)]
    (places / "midi" / "more").mkdir(parents=True)
    for i, each in enumerate(songs):
        folder = places / "midi" / ("more" if i % 2 else "")
        (folder / f"{i}.mid").write_bytes(midi.write(each))
    found = data.load(str(places / "midi"))
    pitch = midi.pitches(found)
    got = [[p.tobytes() for p in pitch[getattr(found, s).x]] for s in dataset.SPLITS]
    assert [len(each) for each in got[1:]] == [2, 2]
    whose = {
        s[at : at + 32].tobytes(): i for i, s in enumerate(songs) for at in (0, 16)
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
                f"step 1 of song 1.*{told}",
            )
            for bad, told in (
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
    with pytest.raises(config.InputError, match=reason) as told:
        data.load(str(path))
    assert "/" not in name or "json" not in str(told.value)


def test_every_kind_of_rest_and_chords_of_more_than_four(places):
    chord = [[60, None, 50, float("nan")], [60, 0, 50, -1], [36, 43, 52, 60, 64, 72]]
    chord += [[50, 0, 60, 0, 55, 0], []]
    path = places / "own.json"
    path.write_text(json.dumps({s: [chord * 8] * 3 for s in ("train", "dev", "test")}))
    found = data.load(str(path))
    want = [[60, 0, 50, 0]] * 2 + [[72, 64, 60, 52], [50, 60, 55, 0], [0] * 4]
    for x in (found.valid.x, found.test.x):
        np.testing.assert_array_equal(midi.pitches(found)[x[0, :5]], want)
        assert len(x) == 3


def drums(steps):
    return (
        midi.write(song(steps)[:, :1])
        .replace(b"\x90", b"\x99")
        .replace(b"\x80", b"\x89")
    )


def test_songs_without_pieces_are_left_out_before_splits_are_carved(places):
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
    found = data.load(str(places / "midi"))
    pitch = midi.pitches(found)
    assert [set(pitch[s.x[..., 0]].ravel()) for s in found[2:4]] == [{61}, {62}]
    (places / "midi/0.mid").write_bytes(midi.write(song(48)))
    with pytest.raises(config.InputError, match="loose files lie beside"):
        data.load(str(places / "midi"))
    for path in [places / "midi/0.mid", *(places / "midi/train/more").iterdir()]:
        path.write_bytes(drums(48))
    (places / "midi/0.mid").unlink()
    told = f"data set '{places}/midi' has no song of two bars in train"
    with pytest.raises(config.InputError, match=told):
        data.load(str(places / "midi"))


# MIDI --------------------------------------------------------------------------------


def test_written_notes_are_read_by_another_library():
    symusic = pytest.importorskip("symusic")
    for piece in (
        song(32),
        midi.pitches(data.load("tunes"))[data.load("tunes").test.x[0]],
    ):
        content = midi.write(piece)
        score = symusic.Score.from_midi(content)
        for track, line in zip(score.tracks, piece.T, strict=True):
            step = score.ticks_per_quarter // 4
            got = [(n.pitch, n.start // step, n.duration // step) for n in track.notes]
            assert got == held(line)
        np.testing.assert_array_equal(midi.read(io.BytesIO(content)), piece)


def test_midi_is_quantised_and_reduced_to_the_highest_four():
    import mido

    file = mido.MidiFile(ticks_per_beat=96)  # a sixteenth is 24 ticks
    for channel in (0, 9):
        track = file.add_track()
        events = [(0, 60, 64), (1, 62, 64), (23, 60, 0), (24, 62, 0), (30, 60, 9)]
        events += [(73, 60, 0), (80, 61, 5), (82, 61, 0)]
        events += [(96, p, 64) for p in (50, 70, 55, 65, 45)]
        events += [(120, p, 0) for p in (50, 70, 55, 65, 45)]
        before = 0
        for at, note, velocity in events:
            message = dict(channel=channel, note=note + (channel == 9))
            kind = "note_on" if velocity != 5 else "note_on"
            track.append(
                mido.Message(kind, time=at - before, velocity=velocity, **message)
            )
            before = at
    file.save(file=(out := io.BytesIO()))
    out.seek(0)
    want = [[62, 60, 0, 0], [60, 0, 0, 0], [60, 0, 0, 0], [61, 0, 0, 0]]
    np.testing.assert_array_equal(midi.read(out), [*want, [70, 65, 55, 50]])


def file_of(*tracks, kind=1, division=480):
    """MIDI of tracks of bytes."""
    header = struct.pack(">4sIHHH", b"MThd", 6, kind, len(tracks), division)
    parts = (struct.pack(">4sI", b"MTrk", len(t)) + t for t in tracks)
    return header + b"".join(parts)


END = b"\0\xff\x2f\0"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (file_of(b"\0\x90\x3c\x50\x40\x80\x3c\0" + END, kind=2), "of type 2"),
        (file_of(b"\0\x90\x3c\x50\x40\x80\x3c\0" + END, division=0), "or nothing"),
        (file_of(b"\0\x90\x3c\x50" + END, division=0xE728), r"frames .*\(SMPTE\)"),
        (file_of(b"\0\x90\x3c\x50\xff\xff\xff\x7f\x80\x3c\0" + END), "2,236,962 si"),
        (file_of(b"\xff\xff\xff\x7f" + END[1:], division=1), "is a time in it damaged"),
        (b"\0text", "no readable MIDI file"),
    ],
)
def test_midi_that_cannot_be_read_names_the_file_at_once(places, content, reason):
    (places / "midi").mkdir()
    for i in range(4):
        (places / f"midi/{i}.mid").write_bytes(content)
    start = time.perf_counter()
    with pytest.raises(config.InputError, match=reason):
        midi.read(io.BytesIO(content))
    with pytest.raises(config.InputError, match=f"midi/0.mid'.*{reason}") as told:
        data.load(str(places / "midi"))
    assert time.perf_counter() - start < 2 and "json" not in str(told.value)


def test_notes_that_are_held_for_hours_take_no_time(places):
    """32 notes, each of 89,907 sixteenths: nearly the longest piece that is read."""
    long = b"\x86\xee\x00"  # 112,384 ticks
    on = b"".join(bytes([0, 0x90, n, 80]) for n in range(40, 72))
    off = long + b"".join(bytes([0x80, n, 0, 0]) for n in range(40, 72))[:-1]
    start = time.perf_counter()
    read = midi.read(io.BytesIO(file_of(on + off + END, division=5)))
    assert time.perf_counter() - start < 2
    assert len(read) == 89_907 and (read == [71, 70, 69, 68]).all()


def test_one_pitch_of_two_channels_is_two_voices():
    on = b"".join(bytes([0, 0x90 | c, n, 80]) for c in (0, 1) for n in (60, 64))
    off = b"\x81\x70" + bytes([0x80, 60, 0])
    read = midi.read(io.BytesIO(file_of(on + off + END)))
    # Those that never end are not heard.
    np.testing.assert_array_equal(read, [[60, 0, 0, 0]] * 2)
    off += b"".join(bytes([0, 0x80 | c, n, 0]) for c, n in ((0, 64), (1, 60), (1, 64)))
    read = midi.read(io.BytesIO(file_of(on + off + END)))
    np.testing.assert_array_equal(read, [[64, 64, 60, 60]] * 2)


def test_text_that_begins_with_a_nul_is_no_music(places):
    (places / "own.txt").write_text("\0abc\nabd\nabe\nabf\n")
    with pytest.raises(config.InputError, match="own.txt' is no readable.*NUL"):
        data.load(str(places / "own.txt"))


# The task ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run():
    (sweep,) = TASK.sweeps(data.load("tunes"))
    values = dict(sweep.values) | {"hidden": (8,), "epochs": 1, "eval_every": 1}
    values["batch_size"] = 200
    fields = {n: v for n, v in values.items() if n in config.FIELDS}
    hparams = {n: v for n, v in values.items() if n not in fields}
    base = aejax.Config(dataset="tunes", hparams=hparams, **fields)
    assert sweep.axes["segments"] == (0, 4)  # compiling both would take twice as long
    return aejax.sweep(base, dict(sweep.axes) | {"segments": (4,)})


def test_notes_are_counted_on_test_pieces_beside_the_baselines(run, forgetful, drawn):
    tunes, models = run.dataset(), run.models()
    small = tunes._replace(test=data.Split(tunes.test.x[:40]))
    result = TASK.apply(models, small, shown=3)
    table = {row["system"]: row for row in result.metrics}
    names = ["beta_vae"]
    baselines = {"most frequent note", "nearest training piece", "step before"}
    assert set(table) == {*names, *baselines}
    other = TASK.apply(models, forgetful(small), shown=3).metrics
    for row in other:
        name = row["system"]
        assert (row == table[name]) == (name in names), name
    # The decoder alone: what training calls mse, the share of wrong ones.
    (want,) = [row["mse"] for row in run.rows if row["split"] == "test"]
    (*_, got, _) = TASK.apply(models, tunes, shown=1).metrics
    assert got["system"] == "beta_vae"
    np.testing.assert_allclose(got["sampled [% of notes]"], 100 * (1 - want), rtol=1e-5)
    # With a segment's first step nothing has been shown to the decoder yet.
    x = small.test.x / np.float32(tunes.scale)
    shown, alone = tasks_music.teacher_forced(models[0], x), models[0].reconstruct(x)
    np.testing.assert_array_equal(shown[:, ::8], alone[:, ::8])
    assert (shown != alone).any() and (shown == x).mean() > (alone == x).mean()
    x = small.test.x.astype(int)
    right = [(x[:, 1:] == x[:, :-1]).mean((1, 2)).mean() * 31 / 32]
    before = table["step before"]["teacher-forced [% of notes]"] / 100
    assert 0 <= before - right[0] < 1 / 32
    assert "sampled [% of notes]" not in table["step before"]
    same = (x[:, None] == tunes.train.x[None]).mean((2, 3)).max(1).mean()
    np.testing.assert_allclose(
        table["nearest training piece"]["sampled [% of notes]"], 100 * same, rtol=1e-5
    )
    assert drawn(result)


def test_files_are_the_pieces_that_are_shown(run):
    tunes, models = run.dataset(), run.models()
    result = TASK.apply(models, tunes, shown=2)
    names = ("original", "nearest-training-piece", "beta_vae")
    want = {f"music/piece-{i}-{n}.mid" for i in (1, 2) for n in names}
    want |= {f"music/sample-{i}-beta_vae.mid" for i in (1, 2)}
    want |= {f"music/interpolation-{n}.mid" for n in ("steps-of-either", "beta_vae")}
    assert set(result.files) == want
    pitch = midi.pitches(tunes)
    read = {n: midi.read(io.BytesIO(content)) for n, content in result.files.items()}
    (model,) = models
    x = tunes.test.x[[125, 375]]
    for i in (0, 1):
        np.testing.assert_array_equal(
            read[f"music/piece-{i + 1}-original.mid"], pitch[x[i]]
        )
    ids = np.rint(model.reconstruct(x / np.float32(tunes.scale)) * tunes.scale)
    played = pitch[ids.astype(int)]
    between = read["music/interpolation-beta_vae.mid"]
    assert len(between) == 8 * 32
    for got, want in ((between[:32], played[0]), (between[-32:], played[1])):
        np.testing.assert_array_equal(np.sort(got), np.sort(want))


def test_other_data_and_other_pitches_are_refused(run, places, digits):
    with pytest.raises(config.InputError, match="takes music, and 'digits' is none"):
        TASK.sweeps(digits)
    path = places / "own.json"
    path.write_text(json.dumps([song(64).tolist() for _ in range(4)]))
    with pytest.raises(config.InputError, match="pitches of 'tunes' and not those of"):
        TASK.apply(run.models(), data.load(str(path)))
