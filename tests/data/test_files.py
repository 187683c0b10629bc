"""Files that are no data: what is read is said, in one line and at once."""

import os
import socket

import numpy as np
import pytest

from aejax import config, data, machine
from tests.data.common import F, draw_all, refused


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("t.csv", "the first line of 't.csv' is 1, 2: numbers"),
        ("t.tsv", "no readable table|too few"),
        ("t.mat", "scipy.io.loadmat"),
        ("t.parquet", "no readable .parquet file"),
        ("t.pkl", "what is read is .npz"),
        ("notes", "a folder of images and a folder of MIDI files"),
        ("one.png", "give its folder, '.'"),
        ("one.mid", "give its folder, '.'"),
        ("x.npy", "no readable .npy or .npz file of numbers .it begins as neither"),
    ],
)
def test_other_files_are_refused_with_what_is_read(places, name, message):
    (places / name).write_bytes(b"1,2\n3,4\n")
    assert "ickle" not in refused(name, message)


def test_too_few_examples_name_their_data_set(places):
    np.save("own.npy", F[:2])
    refused("own.npy", "'own.npy' has 2 in train: too few")
    draw_all(places / "folder", {"": 3}, 1)
    refused("folder", "'folder' has 1 in train: too few")


def test_messages_are_bounded():
    message = str(
        config.unknown("thing", "x\n" * 900, [f"n{i}" for i in range(10_000)])
    )
    assert len(message) < 600 and "and 9,960 more" in message and "\n" not in message


def test_pipes_sockets_and_devices_are_not_opened(places):
    for name in ("fifo.npz", "fifo.txt", "fifo", "fifo.json"):
        os.mkfifo(name)
        refused(name, "is a device, a pipe or a socket")
    refused("/dev/zero", "is a device")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.npz")
        refused("socket.npz", "is a device")
    for make in (os.mkfifo, lambda path: os.symlink("nowhere", path)):
        for suffix in (".png", ".mid"):
            folder = places / f"{make.__name__}{suffix}"
            draw_all(folder, {"": 3})
            make(folder / f"a{suffix}")
            refused(folder, f"/a{suffix}' is no file .a link to nothing")


def test_odd_names_are_input_errors(places):
    for n in (300, 5000):
        refused("a" * n, "is unknown")
    refused("a" * 300 + ".npz", "there is no file.*too long")
    refused("/".join("a" * 99 for _ in range(60)), "is unknown")
    refused("~nobody9/x.npz", "'~nobody9/x.npz': ")
    refused("a\0b.npz", r"there is no file 'a\\x00b.npz' .*null")
    refused("a\0b", "is unknown")
    refused(":", "is unknown")
    refused("", "is unknown")


def test_more_than_memory_holds_is_refused_unread(places, monkeypatch):
    np.savez("own.npz", x=np.ones((40, 100)), other=np.ones((100, 1000)))
    np.save("own.npy", np.ones((40, 100)))
    draw_all(places / "folder", {"": 3})
    memory = [30 * 1024]
    monkeypatch.setattr(machine, "memory", lambda free: memory[-1])
    for name in ("own.npz", "own.npy"):
        refused(name, f"'{name}' takes 32.* kB of memory.*fewer or smaller")
    memory.append(0)
    refused("folder", "'folder' takes")
    memory.append(40 * 1024)
    assert len(data.load("own.npz").train.x)  # what is not read does not count


def test_out_of_memory_is_one_paragraph(places, monkeypatch):
    np.save("own.npy", F)

    def load(*args, **more):
        raise MemoryError("Unable to allocate 9 GiB")

    monkeypatch.setattr(np, "load", load)
    refused("own.npy", "'own.npy' does not fit into memory .Unable to allocate 9 GiB")
