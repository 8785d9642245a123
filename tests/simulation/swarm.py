"""Draws sizes, options, loads and faults from a seed. Extremes are as likely as usual values. See also focus.py."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import shardstore.router.balancer
import shardstore.router.policies.loads
import shardstore.tables.counting
import shardstore.tables.scan_page
import shardstore.workers.core
import shardstore.workers.jobs.cleared_tables
import shardstore.workers.load.meter
import shardstore.workers.overlay.overlay
import shardstore.workers.ranges.owned_range
import shardstore.workers.serving.open_scans
import shardstore.workers.serving.scan_path
import shardstore.workers.serving.take
from shardstore.limits import DEDUP_BYTES_MAX, KIB, MIB, MILLISECOND_NS, SECOND_NS
from shardstore.memory_plan import MemoryPlan, derive
from shardstore.options import Durability
from shardstore.segment_options import SegmentOptions
from shardstore.tables import deleted_keys
from shardstore.tables.counting import COUNTED_A_STEP
from shardstore.topology_options import TopologyOptions
from shardstore.workers.jobs.cleared_tables import CUT_ENTRIES_MIN
from shardstore.workers.maintenance.policies import compaction_policy, drain_pace
from shardstore.workers.overlay.overlay import CLEARED_IN_PLACE_MAX
from shardstore.workers.ranges import dedup, window_share
from shardstore.workers.ranges.dedup import WindowLimits
from shardstore.workers.wal.writer import WalWriter
from tests.simulation.expiry import with_expiry
from tests.simulation.focus import focused
from tests.simulation.kept_together import with_kept_together
from tests.simulation.resolutions import with_resolutions
from tests.simulation.sim_disk import PowerLoss
from tests.simulation.sim_entropy import stream
from tests.simulation.sim_network import Delays, Repeats
from tests.simulation.whole_ranges import with_whole_ranges

FAULTS = (
    "kill worker",
    "crash worker",
    "stop worker",
    "kill router",
    "crash router",
    "kill client",
    "crash maintenance",
    "break connection",
    "clog connection",
    "pause",
    "lose power",
    "fail sync",
    "fill disk",
    "strike change",
    "strand answers",
    "lose power in materialisation",
)
TOPOLOGY_CHANGES = ("split", "merge", "move", "add_worker", "drain_worker")
OPERATIONS = (
    *("put", "delete", "get", "contains", "put_many", "delete_many", "get_many", "scan", "flush", "compact"),
    *("put_if_absent", "compare_and_set", "increment", "read_counter"),
)

WITH_BATCHES = ((11, 5), (13, 11))
"""Divisors and rests of the seeds with batches and takes, a sixth of all. The others are as they were before."""

POLICY_TIMES = (
    (shardstore.router.balancer, "LEAVING_LOOK_NS"),
    (shardstore.router.policies.loads, "SETTLED_NS"),
    (shardstore.workers.load.meter, "LOAD_INTERVAL_NS"),
)
POLICY_NS = 200 * MILLISECOND_NS
"""Times of reports and policies, shortened so that policies act within seconds."""


class Patch(NamedTuple):
    """A module or class, a name in it, and its value during a simulation."""

    owner: object
    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class Swarm:
    """The drawn options of one seed."""

    seed: int
    workers: int
    durability: Durability
    memory: MemoryPlan
    wal_file_bytes: int
    deltas_max: int
    segments: SegmentOptions
    keys: tuple[bytes, ...]
    counters: tuple[bytes, ...]
    boundaries: tuple[str, ...]
    clients: int
    actors: int
    direct: bool
    operations: int
    think_ns: int
    timeout_ns: int
    value_bytes_max: int
    weights: Mapping[str, int]
    delays: Delays
    sync_ns: int
    slow_sync: float
    faults: tuple[str, ...]
    fault_interval_ns: int
    restart_ns_max: int
    power_losses: tuple[PowerLoss, ...]
    duration_ns: int
    scan_page_entries: int
    scan_idle_ns: int
    isolation_ns_max: int
    scans_open_max: int
    runs_set_aside_max: int
    topology_changes: tuple[str, ...]
    topology_interval_ns: int
    topology: TopologyOptions
    repeats: Repeats
    set_aside_bytes_min: int
    sorted_a_turn: int
    stretch_entries_max: int
    windows: WindowLimits
    window_minute_ns: int
    scan_pause_ns: int
    cleared_in_place_max: int = CLEARED_IN_PLACE_MAX
    cut_entries_min: int = CUT_ENTRIES_MIN
    counted_a_step: int = COUNTED_A_STEP
    walls_off_ms: int = 0

    @property
    def remote(self) -> bool:
        """Whether the clients are on other hosts: in half of the seeds in which they use the router only."""
        return not self.direct and self.seed % 2 == 1

    def patches(self) -> list[Patch]:
        """The constants that the options replace in the store, so that limits are small enough to be reached."""
        return [
            Patch(shardstore.workers.core, "WalWriter", partial(WalWriter, file_bytes=self.wal_file_bytes)),
            Patch(compaction_policy, "DELTAS_MAX", self.deltas_max),
            Patch(drain_pace, "PAUSE_DELTAS", max(1, self.deltas_max // 2)),
            Patch(shardstore.workers.ranges.owned_range, "DELTAS_STOP", 4 * self.deltas_max),
            Patch(shardstore.tables.scan_page, "SCAN_PAGE_ENTRIES", self.scan_page_entries),
            Patch(shardstore.workers.serving.open_scans, "SCAN_ABANDONED_NS", self.scan_idle_ns),
            Patch(shardstore.workers.serving.open_scans, "SCAN_IDLE_NS", self.scan_idle_ns),
            Patch(shardstore.workers.serving.scan_path, "SCAN_IDLE_NS", self.scan_idle_ns),
            Patch(shardstore.workers.serving.open_scans, "ISOLATION_NS_MAX", self.isolation_ns_max),
            Patch(dedup, "LIMITS", self.windows),
            Patch(window_share, "MINUTE_NS", self.window_minute_ns),
            Patch(shardstore.workers.overlay.overlay, "RUNS_SET_ASIDE_MAX", self.runs_set_aside_max),
            Patch(shardstore.workers.overlay.overlay, "SET_ASIDE_BYTES_MIN", self.set_aside_bytes_min),
            Patch(shardstore.workers.serving.scan_path, "SORTED_A_TURN", self.sorted_a_turn),
            Patch(shardstore.workers.serving.take, "SORTED_A_TURN", self.sorted_a_turn),
            Patch(shardstore.tables.scan_page, "STRETCH_ENTRIES_MAX", self.stretch_entries_max),
            Patch(shardstore.workers.overlay.overlay, "CLEARED_IN_PLACE_MAX", self.cleared_in_place_max),
            Patch(shardstore.workers.jobs.cleared_tables, "CUT_ENTRIES_MIN", self.cut_entries_min),
            Patch(shardstore.tables.counting, "COUNTED_A_STEP", self.counted_a_step),
            Patch(deleted_keys, "PASSED_ENTRIES_MIN", self.stretch_entries_max),
            Patch(deleted_keys, "PASSED_ENTRIES_MAX", 2 * self.stretch_entries_max),
            *(Patch(module, name, POLICY_NS) for module, name in POLICY_TIMES),
        ]


def draw(seed: int) -> Swarm:
    """Draw the options of a seed."""
    swarm = with_whole_ranges(focused(_drawn(seed), stream(seed, "focus")), stream(seed, "whole ranges"))
    if any(seed % divisor == rest for divisor, rest in WITH_BATCHES):
        take = stream(seed, "takes").choice((0, 1, 3))
        swarm = replace(swarm, weights={**swarm.weights, "batch": 4, "take": take})
    swarm = with_expiry(swarm, stream(seed, "expiry"))
    swarm = with_resolutions(with_kept_together(swarm))
    memory = replace(swarm.memory, scans_max=swarm.scans_open_max)
    rng = stream(seed, "windows")
    if rng.random() < 0.5:  # in the others only the memory of the store limits a window
        return replace(swarm, memory=replace(memory, window_bytes=DEDUP_BYTES_MAX))
    minute_ns = rng.choice((100 * MILLISECOND_NS, 60 * SECOND_NS))
    return replace(swarm, memory=memory, windows=_windows(rng), window_minute_ns=minute_ns)


def _drawn(seed: int) -> Swarm:
    rng = stream(seed, "swarm")
    durability = rng.choices(list(Durability), (3, 6, 2))[0]
    keys = _keys(rng)
    ranges = rng.randint(1, 6)
    worker_count = rng.randint(1, 3)
    return Swarm(
        seed=seed,
        workers=worker_count,
        durability=durability,
        memory=_memory(rng, worker_count),
        wal_file_bytes=rng.choice((300, 2 * KIB, 16 * KIB, MIB)),
        deltas_max=rng.choice((1, 2, 3, 8)),
        segments=_segments(rng),
        keys=keys,
        counters=_counters(keys),
        boundaries=tuple(key.hex() for key in sorted(rng.sample(keys, min(ranges, len(keys)) - 1))),
        clients=rng.randint(1, 4),
        actors=rng.randint(1, 3),
        direct=rng.random() < 0.7,
        operations=rng.choice((200, 500, 1000)),
        think_ns=rng.choice((5 * MILLISECOND_NS, 20 * MILLISECOND_NS, 60 * MILLISECOND_NS)),
        timeout_ns=rng.choice((300 * MILLISECOND_NS, 4 * SECOND_NS, 8 * SECOND_NS)),
        value_bytes_max=rng.choice((24, 300, 3000)),
        weights={name: rng.choice((0, 1, 4)) for name in OPERATIONS} | {"put": 4, "get": 4},
        delays=rng.choice((Delays(), Delays(500_000), Delays(100_000, 0.01, 200 * MILLISECOND_NS))),
        sync_ns=rng.choice((100_000, 2 * MILLISECOND_NS, 10 * MILLISECOND_NS)),
        slow_sync=rng.choice((0.0, 0.05)),
        faults=_faults(rng, durability),
        fault_interval_ns=rng.choice((50 * MILLISECOND_NS, 150 * MILLISECOND_NS, 500 * MILLISECOND_NS)),
        restart_ns_max=rng.choice((10 * MILLISECOND_NS, 400 * MILLISECOND_NS)),
        power_losses=tuple(mode for mode in PowerLoss if rng.random() < 0.6) or (PowerLoss.CHAOS,),
        duration_ns=rng.choice((2 * SECOND_NS, 6 * SECOND_NS)),
        scan_page_entries=rng.choice((1, 2, 5, 20)),
        scan_idle_ns=rng.choice((100 * MILLISECOND_NS, 30 * SECOND_NS)),
        isolation_ns_max=rng.choice((20 * MILLISECOND_NS, 300 * MILLISECOND_NS, 5 * SECOND_NS)),
        scans_open_max=rng.choice((1, 3, 256)),
        runs_set_aside_max=rng.choice((0, 1, 4)),
        topology_changes=tuple(change for change in TOPOLOGY_CHANGES if rng.random() < 0.6),
        topology_interval_ns=rng.choice((30 * MILLISECOND_NS, 150 * MILLISECOND_NS, 600 * MILLISECOND_NS)),
        topology=_topology(rng),
        repeats=rng.choice((Repeats(), Repeats(0.1, 0.3), Repeats(0.4, 0.4))),
        set_aside_bytes_min=rng.choice((0, KIB, 256 * KIB)),
        sorted_a_turn=rng.choice((1, 5, 4_096)),
        stretch_entries_max=rng.choice((2, 20, 4_096)),
        scan_pause_ns=rng.choice((0, 0, 20 * MILLISECOND_NS, 60 * MILLISECOND_NS)),
        windows=WindowLimits(),
        window_minute_ns=60 * SECOND_NS,
    )


def _windows(rng: random.Random) -> WindowLimits:
    """Sizes so small that they are full at once, or that one of their limits is reached long before the others."""
    full = WindowLimits()
    return WindowLimits(
        spans=rng.choice((1, 3, full.spans)),
        clients=rng.choice((1, 2, full.clients)),
        values=rng.choice((1, 2, full.values)),
        minutes=rng.choice((1, 5, full.minutes)),
        bytes_max=rng.choice((700, 1_500, full.bytes_max)),
    )


def _topology(rng: random.Random) -> TopologyOptions:
    """Sometimes policies that change ranges even in the smallest store."""
    return TopologyOptions(
        auto_topology=rng.random() < 0.3,
        split_bytes=rng.choice((KIB, 16 * KIB)),
        split_operations=rng.choice((1, 50)),
        changes_max=rng.choice((1, 4)),
        cooldown=rng.choice((0, 0.2, 2)),
    )


def _memory(rng: random.Random, workers: int) -> MemoryPlan:
    """Often so little memory that leases are short; the floor is just enough for the largest value."""
    memory = workers * rng.choice((16 * KIB, 64 * KIB, 256 * KIB, 64 * MIB))
    return derive(memory, workers, lease_floor=rng.choice((LEASE_FLOOR_BYTES, memory)))


LEASE_FLOOR_BYTES = 7 * KIB


def _segments(rng: random.Random) -> SegmentOptions:
    """Often sizes so small that a main of few entries has several parts, and soon becomes a bottom main."""
    part_min = rng.choice((KIB, KIB, 2 * KIB, 16 * MIB))
    part_max = part_min * rng.choice((1, 2, 3))
    return SegmentOptions(
        block_bytes=KIB,
        bloom_bits_per_key=rng.choice((2.0, 10.5)),
        part_min_bytes=part_min,
        part_max_bytes=part_max,
        main_max_bytes=part_max * rng.choice((1, 3, 20)),
    )


def _keys(rng: random.Random) -> tuple[bytes, ...]:
    count = rng.choice((1, 2, 4, 12, 50, 200))
    length = rng.choice((4, 12, 30))
    prefix = rng.choice((b"", b"\xff\xff", b"same prefix of all keys/"))
    fixed = rng.random() < 0.5
    keys: set[bytes] = set()
    while len(keys) < count:
        keys.add(prefix + rng.randbytes(length if fixed else rng.randint(1, length)))
    return tuple(sorted(keys))


def _counters(keys: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Keys separate from the others, in the first and in the last range."""
    return tuple(sorted({key + b"/counter" for key in (keys[0], keys[-1])} - set(keys)))


def _faults(rng: random.Random, durability: Durability) -> tuple[str, ...]:
    """Each fault in half of the seeds. No failed syncs with ASYNC, where they may lose acknowledged writes."""
    drawn = [fault for fault in FAULTS if rng.random() < 0.5]
    return tuple(fault for fault in drawn if fault != "fail sync" or durability is not Durability.ASYNC)
