"""The commands for changes of ranges that are under way: `shardstore changes` and `shardstore changes resolve`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from shardstore.cli import output
from shardstore.cli.connection import Form, with_client
from shardstore.cli.help_texts import Command, Group

if TYPE_CHECKING:
    from shardstore.client.blocking.client import Client
    from shardstore.wire.admin_messages import Loss, PendingChange


class _GroupThatLists(Group):
    """A group of commands; without the name of one, it is `list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the arguments as those of `list` if no command is named."""
        names_none = not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names)
        return super().parse_args(ctx, ["list", *args] if names_none else args)


@click.group(cls=_GroupThatLists)
def changes() -> None:
    """List splits, merges and moves that are under way, or resolve one that cannot go on."""


@changes.command("list", cls=Command)
@with_client
def list_changes(db: Client, form: Form, timeout: float) -> None:
    """Print every change that is under way, and what it waits for."""
    pending = db.admin.changes(timeout=timeout)
    lines = [line for each in pending for line in _lines(form, each)]
    form.show(list(map(asdict, pending)), "\n".join(lines or ["no change is under way"]))


@changes.command(cls=Command)
@click.argument("number", type=click.IntRange(1))
@click.option("--cancel", "how", flag_value="cancel", help="Make the ranges again what they were before the change.")
@click.option("--complete", "how", flag_value="complete", help="Go on with what can be read of the former ranges.")
@click.option("--dry-run", is_flag=True, help="Only say what may be lost.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_client
def resolve(db: Client, form: Form, timeout: float, number: int, how: str | None, dry_run: bool, yes: bool) -> None:
    """Cancel or complete the change NUMBER, which cannot go on.

    Says first what may be lost, and asks. Files of what is given up are set aside, not removed. A worker that has it
    open is restarted.
    """
    if how is None:
        raise click.UsageError("say --cancel or --complete")
    if form.json and not (yes or dry_run):
        raise click.UsageError("--json asks nobody: add --yes, or --dry-run")
    losses = db.admin.resolve_change(number, how, dry_run=True, timeout=timeout)
    if not form.json:
        output.say("\n".join(loss_lines(form, losses)))
        output.finish()
    if not dry_run:
        if not yes:
            click.confirm(f"{how.capitalize()} change {number}?", err=True, abort=True)
        losses = db.admin.resolve_change(number, how, timeout=timeout)
    said = {"change": number, "resolution": how, "dry_run": dry_run, "may_lose": list(map(asdict, losses))}
    done = f"would {how} change {number}" if dry_run else f"change {number} is resolved: {how}"
    form.show(said, done)


def _lines(form: Form, change: PendingChange) -> list[str]:
    parents, children = (" + ".join(map(str, segments)) for segments in (change.parents, change.children))
    words = [f"change {change.number}: {change.kind} {parents} -> {children}, {change.stage}"]
    words += [f"resolved by an operator: {change.resolution}"] if change.resolution else []
    words += [change.reason] if change.reason else []
    waits = [f"    waits until {line}" for line in change.waits_for]
    lost = [f"    {line}" for line in loss_lines(form, change.may_lose)] if change.may_lose else []
    return [", ".join(words), *waits, *lost]


def loss_lines(form: Form, losses: Sequence[Loss]) -> list[str]:
    """What may be lost, in words."""
    if not losses:
        return ["nothing is lost"]
    return ["may be lost, and nothing else:", *(f"    {_loss_line(form, each)}" for each in losses)]


def _loss_line(form: Form, loss: Loss) -> str:
    start, end = (form.to_line(bound) or "-" for bound in (loss.start, loss.end))
    known = f"{loss.entries:,} entries in memory, {loss.size_bytes:,} bytes" if loss.is_counted else "number unknown"
    return f"of segment {loss.segment}, keys {start} to {end}: {loss.what}; {known}"
