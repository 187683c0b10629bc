"""The process that a command runs in."""

import asyncio
import importlib.metadata
import logging
import os
import signal
import sys
import warnings

import pytest

from experiments import environment


def test_errors_of_a_closed_loop_are_not_printed(monkeypatch):
    """Printed by its threads, through Python's hooks; any other error still is."""
    errors = []

    def users(*what):
        errors.append(what[1])

    monkeypatch.setattr(sys, "excepthook", users)
    monkeypatch.setattr(sys, "unraisablehook", lambda what: errors.append(what[1]))
    for _ in range(2):
        assert environment.run(lambda words: 0, []) == 0
    assert sys.excepthook.before is users, "once, however often it runs"
    loop = asyncio.new_event_loop()
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed") as caught:
        loop.call_soon_threadsafe(print)
    late = caught.tb.tb_next  # as C++ calls it

    other = ValueError("other")
    for error, trace in (
        (caught.value, late),
        (caught.value, caught.tb),
        (other, late),
    ):
        sys.excepthook(type(error), error, trace)
        sys.unraisablehook((type(error), error, trace, None, None))
    assert errors == [caught.value] * 2 + [other] * 2
    logger, messages = logging.getLogger("asyncio"), []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.msg)
    logger.addHandler(handler)
    logger.error("Task exception was never retrieved: … in OCDBT database at …")
    logger.error("Task exception was never retrieved: another's")
    logger.removeHandler(handler)
    assert messages == ["Task exception was never retrieved: another's"]


@pytest.mark.parametrize(
    ("version", "before", "after"),
    [
        ("0.10.2", "", "{}="),
        ("0.10.2", "--xla_a=1", "--xla_a=1 {}="),
        ("0.10.2", "{}=-reduce", "{}=-reduce"),
        ("0.10.1", "--xla_a=1", "--xla_a=1"),
        ("0.12.0.1", "", ""),
    ],
)
def test_xla_flags_are_appended_where_they_are_needed(
    version, before, after, monkeypatch
):
    flag = "--xla_cpu_experimental_ynn_fusion_type"
    monkeypatch.setattr(importlib.metadata, "version", lambda _: version)
    monkeypatch.setenv("XLA_FLAGS", before.format(flag))
    environment.prepare_xla_flags()
    assert os.environ["XLA_FLAGS"] == after.format(flag)


@pytest.mark.filterwarnings("always")
def test_warnings_are_lines(capsys):
    def command(argv):
        text = "persistent compilation cache entry for 'jit_run': full"
        warnings.warn(f"Error writing {text}", stacklevel=1)
        warnings.warn("something else", stacklevel=1)
        return 0

    assert environment.run(command, []) == 0
    assert capsys.readouterr().err == "warning: something else\n"


def test_a_second_ctrl_c_ends_the_process_at_once(capsys):
    before = signal.getsignal(signal.SIGTERM)
    with environment.interruptible() as requested:
        assert not requested()
        for _ in range(2):
            signal.raise_signal(signal.SIGTERM)
            assert requested()
            assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
    assert capsys.readouterr().out.count("saving") == 1
    assert signal.getsignal(signal.SIGTERM) is before
