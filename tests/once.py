"""Programs of equal facts are traced and compiled once in a process.

Resumed, damaged and copied runs are many sweeps of one population: tracing it again is
most of what each takes, and says nothing of them. Where tracing is what is tested, the
fixture ``afresh`` leaves the real functions in place.
"""

import collections
import contextlib
import functools
import os
import time

import jax
import pytest

from aejax.training import population, program

_KEPT = collections.OrderedDict()  # the latest; all of a session's take gigabytes
_MOST = 32
_CACHED = {"shapes": "state_shapes", "metrics": "metrics"}
_REAL = {
    "program": program.Program._compile,
    "shapes": population.Population.state_shapes,
    "metrics": population.Population.metrics,
}


def _facts(kind, spec):
    """All that tracing may depend on; functions by their address."""
    network_spec = spec.model.network_spec._replace(mean=None)  # the likelihood's
    spec = spec._replace(model=spec.model._replace(network_spec=network_spec))
    # No program knows them: numbers of the rows, and the first member's seed.
    data = spec.data._replace(peak=0.0, notes=(), standard=None)
    spec = spec._replace(data=data, config=spec.config.replace(seed=0))
    settings = jax.config.jax_enable_x64, jax.config.jax_threefry_partitionable
    return kind, repr(spec), settings, os.environ["XLA_FLAGS"]


def _once(facts, spec, make):
    if facts not in _KEPT:
        _KEPT[facts] = spec, make()  # with the spec its functions keep their addresses
        if len(_KEPT) > _MOST:
            _KEPT.popitem(last=False)
    _KEPT.move_to_end(facts)
    return _KEPT[facts][1]


def _compile(self):
    spec = self.population.spec
    places = [d.id for d in self._mesh.devices.flat], self.batches, self.vmap

    def make():
        _REAL["program"](self)
        return self._program

    self.trace_s, self.compiled = 0.0, (time.perf_counter(),) * 2
    self._program = _once((_facts("program", spec), str(places)), spec, make)


def _property(kind, name):
    real = _REAL[kind].func

    def once(self):
        if self.whole or kind == "shapes" and self.known:
            return real(self)
        return _once(_facts(kind, self.spec), self.spec, lambda: real(self))

    cached = functools.cached_property(once)
    cached.__set_name__(population.Population, name)
    return cached


@contextlib.contextmanager
def programs():
    """Here they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program.Program, "_compile", _compile)
        for kind, name in _CACHED.items():
            patch.setattr(population.Population, name, _property(kind, name))
        yield


@contextlib.contextmanager
def none():
    """Here they are not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program.Program, "_compile", _REAL["program"])
        for kind, name in _CACHED.items():
            patch.setattr(population.Population, name, _REAL[kind])
        yield
