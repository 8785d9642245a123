"""The command that examines the files of a store."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from shardstore.cli import output
from shardstore.cli.changes import loss_lines
from shardstore.cli.connection import Form
from shardstore.cli.offline_command import EXIT_FINDINGS, OfflineCommand, WrongUsage, directory_argument, unreadable
from shardstore.cli.progress import progress

if TYPE_CHECKING:
    from shardstore.doctor.examination import Examination
    from shardstore.doctor.findings import Finding
    from shardstore.doctor.resolution import Planned
    from shardstore.seams.filesystem import Filesystem


@click.command("doctor", cls=OfflineCommand)
@directory_argument
@click.option("--repair", is_flag=True, help="Move the files aside that no range needs; nothing else is changed.")
@click.option("--complete", type=click.IntRange(1), metavar="NUMBER", help="With --repair: complete this change.")
@click.option("--cancel", type=click.IntRange(1), metavar="NUMBER", help="With --repair: cancel this change.")
@click.option("--yes", is_flag=True, help="Do not ask before a repair.")
@click.option(
    "--processes",
    type=click.IntRange(1),
    default=os.cpu_count() or 1,
    show_default="one per core",
    help="How many files to read at a time.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(
    directory: str,
    repair: bool,
    complete: int | None,
    cancel: int | None,
    yes: bool,
    processes: int,
    as_json: bool,
) -> None:
    """Examine the files of the store in DIR, which is not being served.

    Reads every byte and changes nothing. Exits with 0 if the store is healthy, with 2 if there is a finding, and with
    1 if it cannot be examined.

    A split, merge or move that cannot go on is a finding too. --repair with --complete or --cancel says what it loses
    to go on without what is damaged, asks, and has the next start do that.
    """
    # ruff: noqa: PLC0415  (no other command needs these modules)
    from shardstore.doctor import report
    from shardstore.doctor.examination import Examination
    from shardstore.doctor.offline import offline_store, stopped_workers

    if as_json and repair and not yes:
        raise WrongUsage("--json --repair asks nobody: add --yes")
    if (complete or cancel) and (not repair or (complete and cancel)):
        raise WrongUsage("--complete and --cancel are for --repair, and for one change at a time")
    with unreadable(), offline_store(directory) as filesystem:
        examination = Examination(filesystem, directory)
        with stopped_workers(filesystem, examination.workers):
            _run(examination, processes)
            diagnosis = examination.diagnosis
            if not as_json:
                output.say("\n".join(report.report_lines(diagnosis)))
            done = _resolved(filesystem, examination, complete, cancel, yes, as_json) if complete or cancel else None
            unmoved = [each for each in diagnosis.findings if done is None or not done.settles(each)]
            moved, place = _repaired(filesystem, directory, unmoved, yes, as_json) if repair else ([], "")
    if as_json:
        repaired = {"moved": [each.file for each in moved], "to": place} if repair else {}
        resolved = {"may_lose": [asdict(each) for each in done.losses]} if done else {}
        as_text = Form(hex=False, json=True).plain
        output.say(json.dumps({**report.as_plain(diagnosis), **repaired, **resolved}, default=as_text))
    if any(each not in moved and each in unmoved for each in diagnosis.serious):
        raise click.exceptions.Exit(EXIT_FINDINGS)


def _run(examination: Examination, processes: int) -> None:
    """Run an examination, and show how far it is."""
    with progress("reading", "bytes", sum(check.bytes for check in examination.checks)) as report:
        for check in examination.run(processes):
            report(check.bytes)


def _resolved(
    filesystem: Filesystem,
    examination: Examination,
    complete: int | None,
    cancel: int | None,
    yes: bool,
    as_json: bool,
) -> Planned | None:
    """Resolve a change, once that is agreed to. Returns what was done; None if nothing was. Raises InvalidRequest."""
    from shardstore.doctor.resolution import plan_resolution
    from shardstore.wire.topology import Resolution

    number, how = (complete, Resolution.COMPLETE) if complete else (cancel or 0, Resolution.CANCEL)
    planned = plan_resolution(examination.survey, examination.diagnosis.findings, number, how)
    if not as_json:
        output.say("\n".join(loss_lines(Form(hex=False, json=as_json), planned.losses)))
        output.finish()
    if not yes and not click.confirm(f"{how.capitalize()} change {number}?", err=True):
        return None
    assert examination.survey is not None, "a change was found"
    planned.publish(filesystem, examination.survey)
    if not as_json:
        output.say(f"change {number} is resolved: {how}; the next start carries that out")
    return planned


def _repaired(
    filesystem: Filesystem, directory: str, findings: list[Finding], yes: bool, as_json: bool
) -> tuple[list[Finding], str]:
    """Move aside what can be, once that is agreed to. Returns it, and where it is now."""
    from shardstore.doctor.repair import movable, move_aside
    from shardstore.doctor.report import counted

    wanted = movable(findings)
    if not wanted:
        if not as_json:
            output.say("nothing can be repaired without loss")
        return [], ""
    if not as_json:
        output.say(f"A repair moves {counted(len(wanted), 'file')} aside. No range uses them, so no key is lost:")
        for each in wanted:
            output.say(f"    {each.file}")
        output.finish()
    if not yes and not click.confirm("Move them?", err=True):
        return [], ""
    place = move_aside(filesystem, wanted)
    if not as_json:
        output.say(f"moved to {directory}/{place}; MOVED.json there says from where")
    return wanted, place
