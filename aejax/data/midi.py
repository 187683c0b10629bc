"""MIDI files and MIDI note numbers (T, voices): a row per sixteenth, 0 for a rest."""

import collections
import io
import itertools
from typing import Any

import numpy as np

from aejax import config
from aejax.data import dataset

# By mido: symusic (0.6) drops rests at the end, which belong to a piece, and reads
# files of type 2 or of 0 ticks without a word.
SUFFIXES = (".mid", ".midi")
LONGEST = 100_000  # sixteenths of a piece: three and a half hours at 120 a minute
_DRUMS, _TICKS = 9, 480  # their channel; of a quarter


def pitches(data: dataset.Dataset) -> np.ndarray:
    """MIDI note numbers by id, 0 for the rest.

    Raises:
      InputError: data that are no music.
    """
    if data.symbols[:1] != "\0":
        raise config.InputError(
            f"this takes music, and '{data.name}' is none; use --dataset tunes, or the "
            "path of a folder of MIDI files or of a .json file of chorales"
        )
    return np.array([*map(ord, data.symbols)])


def read(file: Any, voices: int = 4) -> np.ndarray:
    """(T, voices): the highest notes that sound, of a path or an open binary file.

    Notes begin and end at the nearest sixteenth, by the file's ticks, and last one at
    least; drums are left out. T is the length of the longest track.

    Raises:
      InputError: not a MIDI file; of type 2, tracks that are no one piece; without
        ticks of a quarter (SMPTE); longer than ``LONGEST``.
    """
    import mido

    with dataset.explained(f"'{file}' is no readable MIDI file"):
        kind = "file" if hasattr(file, "read") else "filename"
        midi = mido.MidiFile(**{kind: file}, clip=True)
        if midi.type == 2:
            raise ValueError("its tracks are separate patterns: it is of type 2")
        if (quarter := midi.ticks_per_beat) < 1:
            raise ValueError("it counts frames of a second (SMPTE), or nothing")
        notes, ticks = _notes(midi.merged_track)
        if 4 * ticks > quarter * LONGEST:
            raise ValueError(
                f"it is {4 * ticks // quarter:,} sixteenths long, and {LONGEST:,} are "
                "the most; is a time in it damaged?"
            )
    steps = round(4 * ticks / quarter)
    by_channel = collections.defaultdict(list)
    for channel, note, start, end in notes:
        start = round(4 * start / quarter)
        end = max(start + 1, round(4 * end / quarter))
        steps = max(steps, end)
        by_channel[channel].append((note, start, end))
    sounding = np.zeros((steps, 128), np.uint8)  # of how many channels
    for channel in by_channel.values():
        on = np.zeros((steps, 128), bool)
        for note, start, end in channel:
            on[start:end, note] = True
        sounding += on
    out, rows = np.zeros((steps, voices), int), np.arange(steps)
    for voice in range(voices):
        heard = sounding > 0
        highest, there = 127 - heard[:, ::-1].argmax(1), heard.any(1)
        out[there, voice] = highest[there]
        sounding[rows[there], highest[there]] -= 1
    return out


def _notes(track: Any) -> tuple[list[tuple[int, int, int, int]], int]:
    """(channel, note, start, end) in ticks, of all that end, and the last tick."""
    now, began, notes = 0, {}, []
    for message in track:
        now += message.time
        if message.type in ("note_on", "note_off") and message.channel != _DRUMS:
            note = message.channel, message.note
            if note in began:
                notes.append((*note, began.pop(note), now))
            if message.type == "note_on" and message.velocity:
                began[note] = now
    return notes, now


def write(song: np.ndarray, bpm: float = 90) -> bytes:
    """A file of a song (T, voices), a track each; a note that repeats is held."""
    import mido

    file = mido.MidiFile(ticks_per_beat=_TICKS)
    for voice, line in enumerate(np.asarray(song).T.tolist()):
        track, wait = file.add_track(), 0
        if not voice:
            track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm)))
        for note, steps in itertools.groupby(line):
            length, about = _TICKS // 4 * len(list(steps)), {"channel": voice}
            if note:
                track.append(mido.Message("note_on", note=note, time=wait, **about))
                track.append(mido.Message("note_off", note=note, time=length, **about))
            wait = 0 if note else wait + length
        track.append(mido.MetaMessage("end_of_track", time=wait))
    file.save(file=(out := io.BytesIO()))
    return out.getvalue()
