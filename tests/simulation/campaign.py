"""Runs seeds of the simulation, or replays one: --seeds 1 --start N, with --verbose for its latest events.

Every failure is printed with the command that replays it; the exit code is 1 if there was a failure.
"""

# ruff: noqa: T201  # a command prints to the terminal

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
import traceback

from tests.simulation.world import SimulationFailed, simulate

CHUNK = 8


def main() -> int:
    """Run the seeds on all cores."""
    parser = argparse.ArgumentParser("simulate.py", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds to run")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="how many to run at a time")
    parser.add_argument("--verbose", action="store_true", help="show the latest events of each seed")
    arguments = parser.parse_args()
    if arguments.seeds < 1 or arguments.processes < 1:
        parser.error("--seeds and --processes are at least 1")
    seeds = range(arguments.start, arguments.start + arguments.seeds)
    if arguments.verbose or arguments.seeds == 1:
        return max(_tell(seed, arguments.verbose) for seed in seeds)
    return _run_many(seeds, arguments.processes)


def _tell(seed: int, verbose: bool) -> int:
    """Run one seed in this process, and print its summary and any failure."""
    failure = None
    try:
        world = simulate(seed)
    except SimulationFailed as error:
        world, failure = error.world, error
    if verbose or failure:
        print("\n".join(world.host.trace.lines()))
    if failure:
        traceback.print_exception(failure.__cause__)
        print(failure)
        return 1
    print(f"seed {seed}: trace {world.host.trace.digest()}, {world.summary()}")
    return 0


def _run_many(seeds: range, processes: int) -> int:
    started = time.monotonic()
    failed = operations = simulated_ns = 0
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        results = pool.imap_unordered(_run_one, seeds, chunksize=CHUNK)
        for done, (failure, acknowledged, duration_ns) in enumerate(results, 1):
            operations += acknowledged
            simulated_ns += duration_ns
            if failure:
                failed += 1
                print(f"\n{failure}", flush=True)
            if sys.stdout.isatty() and done % CHUNK == 0:
                rate = done / (time.monotonic() - started)
                print(f"\r{done:,} of {len(seeds):,} seeds, {failed} failed, {rate:.1f}/s", end="", flush=True)
    seconds = time.monotonic() - started
    print(f"\n{len(seeds):,} seeds in {seconds:.0f} s, {failed} failed; ", end="")
    print(f"{operations:,} acknowledged writes in {simulated_ns / 3.6e12:.2f} simulated hours")
    return 1 if failed else 0


def _run_one(seed: int) -> tuple[str, int, int]:
    """Run one seed; returns its failure, acknowledged writes and simulated nanoseconds."""
    try:
        world, failure = simulate(seed), ""
    except SimulationFailed as error:
        world, failure = error.world, str(error)
    return failure, world.oracle.acknowledged, world.host.clock.now_ns()


if __name__ == "__main__":
    sys.exit(main())
