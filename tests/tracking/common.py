"""What the trackers' tests read back."""

import struct
import time

import pytest


def events(folder):
    """{tag: [(step, value, metadata)]} of a folder's event files, as written."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    curves = {}
    for path in sorted(folder.glob("events*")):
        data, place = path.read_bytes(), 0
        while place < len(data):
            (size,) = struct.unpack_from("<Q", data, place)
            body = data[place + 12 : place + 12 + size]  # between checksums
            place += size + 16
            event = event_pb2.Event.FromString(body)
            for value in event.summary.value:
                number = value.simple_value, value.metadata
                curves.setdefault(value.tag, []).append((event.step, *number))
    return curves


def scalars(folder):
    """{tag: {step: value}} of a folder; a step that is there twice is an error."""
    out = {}
    for tag, points in events(folder).items():
        if "/" in tag and not tag.startswith("_"):
            assert len({step for step, *_ in points}) == len(points), (tag, points)
            out[tag] = {step: value for step, value, _ in points}
    return out


class Run:
    """A Run as far as ``Tracker.finish`` looks at it."""

    def __init__(self, run):
        self.summary, self.rows, self.info = run.summary, run.rows, run.info


def records(path):
    """Those of a .wandb file, when its own process has written the last of them."""
    for _ in range(100):
        out = _records(path)
        if any(record.HasField("exit") for record in out):
            return out
        time.sleep(0.1)
    raise AssertionError(f"{path} has no end")


def _records(path):
    """LevelDB's log: parts of records in blocks of 32 kB."""
    proto = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    data, place, body, out = path.read_bytes(), 7, b"", []
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:  # no room for a header
            place += left
            continue
        _, size, kind = struct.unpack_from("<IHB", data, place)
        if place + 7 + size > len(data):
            break  # being written
        body += data[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # whole, or the last part
            out.append(proto.Record.FromString(body))
            body = b""
    return out
