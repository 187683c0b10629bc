"""MIDI files there and back; those that are hostile."""

import io
import struct
import time

import numpy as np
import pytest

from aejax import config, data
from aejax.data import midi

RNG = np.random.default_rng(0)
END = b"\0\xff\x2f\0"


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("AEJAX_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def spans(line):
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


def file_of(*tracks, kind=1, division=480):
    """MIDI of tracks of bytes."""
    header = struct.pack(">4sIHHH", b"MThd", 6, kind, len(tracks), division)
    parts = (struct.pack(">4sI", b"MTrk", len(t)) + t for t in tracks)
    return header + b"".join(parts)


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
            assert got == spans(line)
        np.testing.assert_array_equal(midi.read(io.BytesIO(content)), piece)


def test_midi_is_quantised_to_the_highest_four():
    import mido

    file = mido.MidiFile(ticks_per_beat=96)  # a sixteenth is 24 ticks
    for channel in (0, 9):
        track = file.add_track()
        events = [(0, 60, 64), (1, 62, 64), (23, 60, 0), (24, 62, 0), (30, 60, 9)]
        events += [(73, 60, 0), (80, 61, 5), (82, 61, 0)]
        events += [(96, p, 64) for p in (50, 70, 55, 65, 45)]
        events += [(120, p, 0) for p in (50, 70, 55, 65, 45)]
        before = 0
        for tick, note, velocity in events:
            message = dict(channel=channel, note=note + (channel == 9))
            kind = "note_on" if velocity != 5 else "note_on"
            track.append(
                mido.Message(kind, time=tick - before, velocity=velocity, **message)
            )
            before = tick
    file.save(file=(out := io.BytesIO()))
    out.seek(0)
    want = [[62, 60, 0, 0], [60, 0, 0, 0], [60, 0, 0, 0], [61, 0, 0, 0]]
    np.testing.assert_array_equal(midi.read(out), [*want, [70, 65, 55, 50]])


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
def test_midi_that_cannot_be_read_is_named(places, content, reason):
    (places / "midi").mkdir()
    for i in range(4):
        (places / f"midi/{i}.mid").write_bytes(content)
    start = time.perf_counter()
    with pytest.raises(config.InputError, match=reason):
        midi.read(io.BytesIO(content))
    with pytest.raises(config.InputError, match=f"midi/0.mid'.*{reason}") as error:
        data.load(str(places / "midi"))
    assert time.perf_counter() - start < 2 and "json" not in str(error.value)


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
