"""MIDI files and MIDI note numbers (T, voices): a row per sixteenth, 0 for a rest."""

import collections
import io
import itertools
from typing import Any

import numpy as np

from aejax import config
from aejax.data import dataset

SUFFIXES = (".mid", ".midi")
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
      InputError: not a MIDI file.
    """
    import mido

    with dataset.explained(f"'{file}' is no readable MIDI file"):
        kind = "file" if hasattr(file, "read") else "filename"
        midi = mido.MidiFile(**{kind: file}, clip=True)
    now, began, song = 0.0, {}, collections.defaultdict(set)
    for message in midi.merged_track:
        now += 4 * message.time / midi.ticks_per_beat
        if message.type in ("note_on", "note_off") and message.channel != _DRUMS:
            note = message.note, message.channel
            if note in began:
                start = round(began.pop(note))
                for step in range(start, max(start + 1, round(now))):
                    song[step].add(note)
            if message.type == "note_on" and message.velocity:
                began[note] = now
    out = np.zeros((max(round(now), 1 + max(song, default=-1)), voices), int)
    for step, sounding in song.items():
        highest = sorted((note for note, _ in sounding), reverse=True)[:voices]
        out[step, : len(highest)] = highest
    return out


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
