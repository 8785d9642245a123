"""Damages every file of a small store in many ways, checks that all damage is detected, and prints a table by kind.

--every-byte changes each byte and cuts at each; without it, one byte of each part of each file. The exit code is 1 if
there was a silent loss, an error without a name, or a store that does not recover when the file is restored.
"""

# ruff: noqa: T201  # a command prints to the terminal

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.damage.damages import Damage, damages
from tests.damage.history import History, make
from tests.damage.verdicts import GOOD, Finding, Verdict, judge

SHOWN_MAX = 20
CHUNK = 8


def main() -> int:
    """Run the sweep on all cores."""
    parser = argparse.ArgumentParser("damage_sweep.py", description=__doc__)
    parser.add_argument("--every-byte", action="store_true", help="change and cut at each byte, which takes minutes")
    parser.add_argument("--only", default="", help="only kinds of damage with this in their name")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="how many to run at a time")
    asked = parser.parse_args()
    if asked.processes < 1:
        parser.error("--processes is at least 1")
    history = make()
    swept = [each for each in damages(history, make(seed=2), asked.every_byte) if asked.only in each.kind]
    if not swept:
        parser.error(f"no kind of damage has {asked.only!r} in its name")
    with multiprocessing.get_context("spawn").Pool(asked.processes, _remember, (history,)) as pool:
        found = pool.imap(_judge, swept, chunksize=CHUNK)
        findings = [*track(found, "damages", len(swept), console=Console(stderr=True))]
    print_table(zip(swept, findings, strict=True))
    bad = [(each, finding) for each, finding in zip(swept, findings, strict=True) if finding.verdict not in GOOD]
    for damage, finding in bad[:SHOWN_MAX]:
        print(f"{finding.verdict}: {damage.kind}, {damage.what}: {finding.why}")
    return 1 if bad else 0


def print_table(found: Iterable[tuple[Damage, Finding]]) -> None:
    """Print a line for each kind of damage: how many there were, and how they ended."""
    counts: dict[str, Counter[Verdict]] = {}
    for damage, finding in found:
        counts.setdefault(damage.kind, Counter())[finding.verdict] += 1
    table = Table("damage", "count", *Verdict)
    for kind, count in sorted(counts.items()):
        table.add_row(kind, str(count.total()), *(str(count[verdict] or "") for verdict in Verdict))
    table.add_section()
    total = sum(counts.values(), Counter[Verdict]())
    table.add_row("all", str(total.total()), *(str(total[verdict]) for verdict in Verdict))
    Console(width=140).print(table)


_histories: list[History] = []


def _remember(history: History) -> None:
    _histories.append(history)


def _judge(damage: Damage) -> Finding:
    return judge(_histories[0], damage)


if __name__ == "__main__":
    sys.exit(main())
