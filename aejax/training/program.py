"""One compiled program per population, its members laid over the devices.

The only place that places and batches members. They are dealt to devices interleaved
and padded to devices × vmap by repeating the last one. Inside a device a loop over
batches of ``vmap`` members carries the whole population, so that no second copy of the
state is needed. The program is compiled ahead of time and holds initialisation,
training and evaluation: nothing else ever compiles.
"""

import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from aejax import config as configs
from aejax import settings
from aejax.training import loop
from aejax.training import member as members
from aejax.training import population as populations
from aejax.training import source as sources

_P = jax.sharding.PartitionSpec
# Of a device's memory, what members that are vmapped together may take by an estimate
# that knows nothing of fragmentation, of XLA's own buffers, or of other processes.
SHARE = 0.7
# Copies of a member's state that a vmapped step may hold at once: the old and the new
# one, gradients and updates.
COPIES = 4


class Program:
    """A population's members on the devices, with what advances them.

    Attributes:
      population: what it was compiled for.
      vmap: members that are computed with at once on a device.
      batches: of so many members, on each device; ``advance`` can do some at a time.
      trace_s: seconds of tracing and lowering.
      compiled: when the compiler began and ended, by ``time.perf_counter``.
    """

    @settings.usual()  # they are a thread's own
    def __init__(
        self,
        population: populations.Population,
        devices: Sequence[jax.Device],
        vmap: int | None = None,
    ):
        self.population = population
        shared = population.spec.config.data_parallel
        self.batches, self.vmap = layout(population, devices, vmap)
        self._devices = min(slots(population, devices), len(population.members))
        self._local = self.batches * self.vmap
        grid = np.array(list(devices)[: self._devices * shared])
        axes = ("members", members.BATCH_AXIS)[: 1 + (shared > 1)]
        self._mesh = jax.sharding.Mesh(
            grid.reshape([self._devices, shared][: len(axes)]), axes
        )
        self._by_member = jax.sharding.NamedSharding(self._mesh, _P("members"))
        self._everywhere = jax.sharding.NamedSharding(self._mesh, _P())
        self._shapes = population.state_shapes
        self._compile()

    def _compile(self) -> None:
        local = self._local
        spec, metrics, size = self.population.spec, self.population.metrics, self.vmap

        def run(state, hparams, data, start, stop, phase, low, high):
            def one(hparams, state):
                member = members.member(spec, hparams, data)
                when = start, stop, phase
                return loop.advance(spec, member, state, data, *when, metrics)

            def body(i, carry):
                inputs = jax.tree.map(
                    lambda a: jax.lax.dynamic_slice_in_dim(a, i * size, size),
                    (hparams, carry[0]),
                )
                if size == 1:  # vmap over one would make its convolutions groups
                    out = one(*jax.tree.map(lambda a: a[0], inputs))
                    out = jax.tree.map(lambda a: a[None], out)
                else:
                    out = jax.vmap(one)(*inputs)
                return jax.tree.map(
                    lambda a, b: jax.lax.dynamic_update_slice_in_dim(a, b, i * size, 0),
                    carry,
                    out,
                )

            zeros = jax.tree.map(lambda s: jnp.zeros((local, *s.shape)), metrics)
            state, means = jax.lax.fori_loop(low, high, body, (state, zeros))
            return state, means, state.diverged

        program = jax.shard_map(
            run,
            mesh=self._mesh,
            in_specs=(_P("members"), _P("members"), *(_P(),) * 6),
            out_specs=_P("members"),
            axis_names={"members"},  # of a batch's axis XLA takes care
            check_vma=False,
        )

        total = self._devices * local
        state = _shapes(self._shapes, self._by_member, total)
        hparams = _shapes(spec.hparams(spec.config), self._by_member, total)
        data = _shapes(spec.shapes(), self._everywhere)
        number = _shapes(np.int32(0), self._everywhere)
        began = time.perf_counter()
        with settings.matmul_precision(spec.config.precision):
            lowered = jax.jit(program, donate_argnums=0).lower(
                state, hparams, data, *(number,) * 5
            )
        traced = time.perf_counter()
        self._program = lowered.compile()
        self.trace_s = traced - began
        self.compiled = (traced, time.perf_counter())

    def place(
        self, state: Any = None, population: populations.Population | None = None
    ) -> None:
        """Puts members on the devices: from host arrays in their order, or blank.

        Those of ``population`` if it is given: another part of the same whole as it was
        compiled for, of no more members. Nothing compiles.
        """
        self.population = population = population or self.population
        self._deal(len(population.members))
        spec, configs = population.spec, population.members
        slots = [spec.hparams(configs[i].config) for i in self._order]
        hparams = {n: np.stack([s[n] for s in slots]) for n in slots[0]}
        self._hparams = jax.device_put(hparams, self._by_member)
        if state is None:
            lead = (len(self._order),)
            state = jax.tree.map(
                lambda s: np.zeros(lead + s.shape, s.dtype), self._shapes
            )
        else:
            state = jax.tree.map(lambda a: np.asarray(a)[self._order], state)
        self._state = jax.device_put(state, self._by_member)

    def _deal(self, count: int) -> None:
        """Deals so many members to the devices; the last one fills what is left."""
        rounds = -(-count // self._devices)
        self.batches = -(-rounds // self.vmap)
        if rounds > self._local:
            raise ValueError(f"{count} members do not fit into this program")
        device, place = np.arange(count) % self._devices, np.arange(count)
        self._slots = device * self._local + place // self._devices  # of each member
        self._order = np.full(self._devices * self._local, count - 1)
        self._order[self._slots] = place

    def put(self, data: Any) -> Any:
        """Host data on every device."""
        return jax.device_put(data, self._everywhere)

    def advance(
        self,
        data: sources.Data,
        start: int,
        stop: int,
        phase: loop.Phase,
        batches: range,
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Some of ``range(self.batches)`` from start to stop; waits until it is done.

        ``data`` is from ``put``; start, stop and phase are ``loop.advance``'s.
        Returns {metric: (members, 3) of the splits}, 0 for members of other batches,
        and (members,) whether they have diverged, in the population's order.
        """
        numbers = start, stop, phase, batches.start, batches.stop
        # One name only: using a donated buffer again crashes the process.
        self._state, means, diverged = self._program(
            self._state, self._hparams, data, *map(np.int32, numbers)
        )
        means = {n: np.asarray(a)[self._slots] for n, a in means.items()}
        return means, np.asarray(diverged)[self._slots]

    def host_state(self) -> members.TrainState:
        """Host arrays (members, …) of the real members, in their order."""
        return jax.tree.map(lambda a: np.asarray(a)[self._slots], self._state)


def _shapes(tree: Any, sharding: Any, *lead: int) -> Any:
    """Of arrays with these leading axes, laid out so."""
    return jax.tree.map(
        lambda a: jax.ShapeDtypeStruct((*lead, *a.shape), a.dtype, sharding=sharding),
        tree,
    )


def slots(population: populations.Population, devices: Sequence[Any]) -> int:
    """Members side by side: one on each device, or on each few that share its batch.

    Raises:
      InputError: fewer devices than are to share a batch.
    """
    shared = population.spec.config.data_parallel
    if shared > len(devices):
        raise configs.InputError(
            f"data_parallel is {shared}, but there are {len(devices)} devices; give "
            "that many, --devices N on a CPU"
        )
    return len(devices) // shared


def layout(
    population: populations.Population,
    devices: Sequence[jax.Device],
    vmap: int | None,
) -> tuple[int, int]:
    """(batches, members vmapped together) on each device: the last decides digits.

    ``vmap`` None is 1 on CPU, where vmap gains nothing; else what fits in memory. If
    it is given it is the same for all parts of a population.
    """

    def on_each(count: int) -> int:
        return -(-count // max(1, min(slots(population, devices), count)))

    local = on_each(len(population.members))
    if vmap:
        size = min(vmap, on_each(len((population.whole or population).members)))
        return -(-local // size), size
    batches = -(-local // min(local, _largest(population, devices[0])))
    return batches, -(-local // batches)  # even batches: less padding


def _largest(population: populations.Population, device: jax.Device) -> int:
    if device.platform == "cpu":
        return 1
    # Not what is free just now: the batch, and with it the last bits, would vary.
    free = (device.memory_stats() or {}).get("bytes_limit", 8 << 30)
    # All members' states lie there too, whatever the batch.
    each = population.state_bytes()
    free -= population.data_bytes() + each * len(population.members)
    step = population.step_bytes() // population.spec.config.data_parallel
    return max(1, int(SHARE * free) // (COPIES * each + step))
