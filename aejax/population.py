"""One compiled program per group, its lanes laid over the devices.

The only place that places and batches lanes. Lanes are dealt to devices interleaved and
padded to devices × lane_batch by repeating the last one. Inside a device a loop over
batches of ``lane_batch`` vmapped lanes carries the whole population, so that no second
copy of the state is needed. The program is compiled ahead of time and holds
initialisation, training and evaluation: nothing else ever compiles.
"""

import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from aejax import group as groups
from aejax import lane as lanes
from aejax import model as model_lib
from aejax import source as sources
from aejax import train

_P = jax.sharding.PartitionSpec


class Population:
    """A group's lanes on the devices, with the program that advances them.

    Attributes:
      rounds: lane batches per device; ``advance`` can do some of them at a time.
      trace_s: seconds of tracing and lowering.
      compiled: when the compiler began and ended, by ``time.perf_counter``.
    """

    @model_lib.usual_settings()  # they are a thread's own
    def __init__(
        self,
        group: groups.Group,
        devices: Sequence[jax.Device],
        lane_batch: int | None = None,
    ):
        self.group = group
        count = len(group.lanes)
        devices = list(devices)[: max(1, min(len(devices), count))]
        self.rounds, self.lane_batch = layout(group, devices, lane_batch)
        local = self.rounds * self.lane_batch
        slots = [list(range(d, count, len(devices))) for d in range(len(devices))]
        self._order = np.array(
            [i for s in slots for i in s + [count - 1] * (local - len(s))]
        )
        self._slots = np.unique(self._order, return_index=True)[1]  # of each lane
        self._mesh = jax.sharding.Mesh(np.array(devices), ("lanes",))
        self._by_lane = jax.sharding.NamedSharding(self._mesh, _P("lanes"))
        self._everywhere = jax.sharding.NamedSharding(self._mesh, _P())
        self._shapes = group.state_shapes()
        self._compile(local)

    def _compile(self, local: int) -> None:
        group, size = self.group, self.lane_batch

        def run(state, values, data, start, stop, which, low, high):
            def one(values, state):
                args = (values, state, data, start, stop, which)
                return lanes.advance(group.recipe, *args, group.metrics)

            def body(i, carry):
                at = jax.tree.map(
                    lambda a: jax.lax.dynamic_slice_in_dim(a, i * size, size),
                    (values, carry[0]),
                )
                if size == 1:  # vmap over one lane would make its convolutions groups
                    out = one(*jax.tree.map(lambda a: a[0], at))
                    out = jax.tree.map(lambda a: a[None], out)
                else:
                    out = jax.vmap(one)(*at)
                return jax.tree.map(
                    lambda a, b: jax.lax.dynamic_update_slice_in_dim(a, b, i * size, 0),
                    carry,
                    out,
                )

            metrics = jnp.zeros((local, len(lanes.SPLITS), len(group.metrics)))
            state, metrics = jax.lax.fori_loop(low, high, body, (state, metrics))
            return state, metrics, state.diverged

        program = jax.shard_map(
            run,
            mesh=self._mesh,
            in_specs=(_P("lanes"), _P("lanes"), *(_P(),) * 6),
            out_specs=_P("lanes"),
            check_vma=False,
        )

        def shapes(tree: Any, sharding: Any, *lead: int) -> Any:
            return jax.tree.map(
                lambda a: jax.ShapeDtypeStruct(
                    (*lead, *a.shape), a.dtype, sharding=sharding
                ),
                tree,
            )

        total = len(self._order)
        state = shapes(self._shapes, self._by_lane, total)
        values = shapes(group.traced(group.recipe.config), self._by_lane, total)
        data = shapes(group.source.shapes(), self._everywhere)
        number = shapes(np.int32(0), self._everywhere)
        began = time.perf_counter()
        with model_lib.matmul_precision(group.recipe.config.precision):
            lowered = jax.jit(program, donate_argnums=0).lower(
                state, values, data, *(number,) * 5
            )
        traced = time.perf_counter()
        self._program = lowered.compile()
        self.trace_s = traced - began
        self.compiled = (traced, time.perf_counter())

    def place(self, state: Any = None) -> None:
        """Puts lanes on the devices: from host arrays in lane order, or blank."""
        slots = [self.group.traced(self.group.lanes[i].config) for i in self._order]
        values = {n: np.stack([s[n] for s in slots]) for n in slots[0]}
        self._lanes = jax.device_put(values, self._by_lane)
        if state is None:
            lead = (len(self._order),)
            state = jax.tree.map(
                lambda s: np.zeros(lead + s.shape, s.dtype), self._shapes
            )
        else:
            state = jax.tree.map(lambda a: np.asarray(a)[self._order], state)
        self._state = jax.device_put(state, self._by_lane)

    def put(self, data: Any) -> Any:
        """Host data on every device."""
        return jax.device_put(data, self._everywhere)

    def advance(
        self, data: sources.Data, start: int, stop: int, which: int, rounds: range
    ) -> tuple[np.ndarray, np.ndarray]:
        """One dispatch of some of ``range(self.rounds)``; waits until it is done.

        ``data`` is from ``put``; start, stop and which are ``lane.advance``'s. Returns
        (lanes, 3, M) metrics, 0 for lanes of other rounds, and (lanes,) whether a lane
        has diverged, in the order of the group's lanes.
        """
        scalars = [np.int32(v) for v in (start, stop, which, rounds.start, rounds.stop)]
        # One name only: using a donated buffer again crashes the process.
        self._state, metrics, diverged = self._program(
            self._state, self._lanes, data, *scalars
        )
        return np.asarray(metrics)[self._slots], np.asarray(diverged)[self._slots]

    def host_state(self) -> train.TrainState:
        """Host arrays (lanes, …) of the real lanes in lane order."""
        return jax.tree.map(lambda a: np.asarray(a)[self._slots], self._state)


def layout(
    group: groups.Group, devices: Sequence[jax.Device], lane_batch: int | None
) -> tuple[int, int]:
    """(rounds, lanes vmapped together) on each device; the latter is part of digits."""
    count = len(group.lanes)
    local = -(-count // max(1, min(len(devices), count)))
    rounds = -(-local // min(local, lane_batch or _largest_batch(group, devices[0])))
    return rounds, -(-local // rounds)  # even rounds: less padding


def _largest_batch(group: groups.Group, device: jax.Device) -> int:
    """Lanes to vmap: 1 on CPU, where vmap gains nothing; else what fits in memory."""
    if device.platform == "cpu":
        return 1
    # Not what is free just now: the batch, and with it the last bits, would vary.
    free = (device.memory_stats() or {}).get("bytes_limit", 8 << 30)
    # All lanes' states lie there too, whatever the batch.
    free -= group.data_bytes() + group.state_bytes() * len(group.lanes)
    return max(1, int(0.7 * free) // (4 * group.state_bytes() + group.step_bytes()))
