"""The commands that export a store into a file, and import it."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from shardstore.cli import output
from shardstore.cli.connection import Form, with_client
from shardstore.cli.failures import Failed
from shardstore.cli.help_texts import Command
from shardstore.cli.progress import progress
from shardstore.errors import Corruption, InvalidRequest, StorageFailure, Unavailable

if TYPE_CHECKING:
    from shardstore.client.blocking.client import Client
    from shardstore.exchange.importing import Content, ImportProgress
    from shardstore.exchange.sections import SectionBounds, Source

ENTRIES = "entries"
STANDARD = "-"
STANDARD_INPUT = "the standard input"


@click.command("export", cls=Command)
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option(
    "--form",
    "form_name",
    type=click.Choice(["json", "bundle", "parquet"]),
    help="Form of the file. [default: as its name says; of the standard output json]",
)
@click.option(
    "--space", metavar="NAME", help='Only this space; "" stands for the keys outside of spaces. [default: everything]'
)
@click.option("--start", metavar="KEY", help="First key. In a space, a key as JSON.")
@click.option("--end", metavar="KEY", help="Key to stop before. In a space, a key as JSON.")
@click.option("--prefix", metavar="KEY", help="Only keys that begin with this. In a space, as JSON.")
@click.option("--verify", is_flag=True, help="Read the file again afterwards, and check it.")
@with_client
def export_command(
    db: Client,
    form: Form,
    timeout: float,
    file: str,
    form_name: str | None,
    space: str | None,
    verify: bool,
    **bounds: str | None,
) -> None:
    """Write the store, a space, or keys in bounds into FILE, or to the standard output (-).

    The name of FILE says its form: .jsonl for JSON Lines, .bundle for one file with checksums, .parquet for a table. It
    has another name until it is whole. If the export is interrupted, give the same command again: it goes on.
    """
    # ruff: noqa: PLC0415  (no other command needs these modules)
    from shardstore.exchange import exporting, forms, sections

    if space is None and any(bounds.values()):
        space = ""
    wanted = sections.sources(db, space, _bounds_of(db, form, space, bounds, timeout), timeout)
    if file == STANDARD:
        written = _to_standard_output(db, form_name or forms.JSON, wanted, timeout)
        output.complain(lambda: click.echo(f"exported {written:,} entries", err=True))
        return
    kind = form_name or forms.form_named(file)
    length = sum(db.count(each.key_range.start, each.key_range.end or None, timeout=timeout) for each in wanted)
    if kind == forms.PARQUET:
        from shardstore.exchange import parquet

        with progress("exporting", ENTRIES, length) as report:
            written = parquet.write(db, file, wanted, timeout, report)
    else:
        export = exporting.Export(db, _identity_of(db, timeout), file, kind, wanted, timeout)
        with progress("going on" if export.is_begun else "exporting", ENTRIES, length) as report:
            written = export.run(report)
    if verify:
        _content(file)
    form.show({"file": file, "entries": written}, f"exported {written:,} entries to {file}")


@click.command("import", cls=Command)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--check", "only_check", is_flag=True, help="Only read FILE, and say whether it is whole.")
@click.option("--verify", is_flag=True, help="Read everything back from the store afterwards, and compare it.")
@with_client
def import_command(db: Client, form: Form, timeout: float, file: str, only_check: bool, verify: bool) -> None:
    """Put what FILE holds, an export, into the store. Other entries of the store stay.

    Spaces that the store does not have are made. If it has one with other types, nothing is imported. If the import is
    interrupted, give the same command again: it goes on.
    """
    from shardstore.exchange import importing, sections

    if file == STANDARD:
        if only_check or verify:
            raise click.UsageError("--check and --verify need a file: the standard input is read only once")
        total = _from_standard_input(db, timeout)
        form.show({"file": file, "entries": total}, f"imported {total:,} entries")
        return
    content = _content(file)
    total = content.entries
    if only_check:
        form.show({"file": file, "entries": total}, f"{file} is whole: {total:,} entries")
        return
    for section in content.sections:
        sections.check_target(db, section, timeout)
    with _file(file) as opened:
        kept = importing.ImportProgress(file, opened, _identity_of(db, timeout))
        with progress("importing", ENTRIES, total) as report:
            read = importing.read_pieces(opened, file)
            _keep_each(kept, importing.put_all(db, read, kept.load(), timeout, report))
        if verify:
            _verify(db, form, file, opened, total, timeout)
        kept.forget()
    form.show({"file": file, "entries": total}, f"imported {total:,} entries from {file}")


def _keep_each(kept: ImportProgress, offsets: Iterator[int]) -> None:
    """Keep how far an import is. If that cannot be written, say so once, and import all the same."""
    for offset in offsets:
        try:
            kept.keep(offset)
        except StorageFailure as failure:
            words = f"if the import is interrupted, it begins anew: {failure}"
            output.complain(lambda words=words: click.echo(words, err=True))  # type: ignore[misc]
            break
    deque(offsets, maxlen=0)


def _from_standard_input(db: Client, timeout: float) -> int:
    """Import what comes from the standard input. Returns how many entries that were."""
    from shardstore.exchange import importing

    total = 0
    with progress("importing", ENTRIES) as report:

        def count(entries: int) -> None:
            nonlocal total
            total += entries
            report(entries)

        read = importing.read_pipe(cast(BufferedReader, sys.stdin.buffer), STANDARD_INPUT)
        try:
            deque(importing.put_all(db, read, 0, timeout, count), maxlen=0)
        except Corruption as error:
            if error.file != STANDARD_INPUT:
                raise
            raise Failed(str(error)) from None
    return total


def _to_standard_output(db: Client, kind: str, wanted: list[Source], timeout: float) -> int:
    from shardstore.exchange import exporting, forms

    if kind == forms.PARQUET:
        raise InvalidRequest("a file of Parquet is not written to the standard output: name a file")
    return exporting.write_all(db, output.standard_output(), kind, wanted, timeout, lambda _: None)


def _identity_of(db: Client, timeout: float) -> str:
    """What identifies the store. Raises Unavailable."""
    router = db.stats(timeout=timeout)["router"]
    if "store" not in router:
        raise Unavailable(f"the router does not answer: {router.get('unavailable')}")
    return router["store"]


def _content(path: str) -> Content:
    """Read a file whole. Returns what it has. Raises Failed, which says where it is damaged."""
    from shardstore.exchange import importing

    with _file(path) as file, progress("checking", ENTRIES) as report:
        return importing.check(importing.read_pieces(file, path), report)


def _verify(db: Client, form: Form, path: str, file: BinaryIO, total: int, timeout: float) -> None:
    """Compare the store with a file. Raises Failed if they differ."""
    from shardstore.exchange import importing

    with progress("verifying", ENTRIES, total) as report:
        read = importing.read_pieces(file, path)
        found = list(importing.differences(db, read, timeout, report))
    if found:
        section, key = found[0]
        raise Failed(
            f"{len(found):,} entries of the store differ from the file, the first in {section} at {form.to_line(key)}: "
            "did another program write to the store meanwhile?"
        )


def _bounds_of(
    db: Client, form: Form, space: str | None, texts: dict[str, str | None], timeout: float
) -> SectionBounds:
    """The bounds that were given: of bytes, or of keys of a space as JSON."""
    from shardstore.exchange.json_keys import JsonKeys
    from shardstore.exchange.sections import SectionBounds

    if not space:
        return SectionBounds(**{name: form.to_bound(text) for name, text in texts.items()})
    given = {name: _json_of(text) for name, text in texts.items() if text is not None}
    infos = db.spaces(timeout=timeout)
    if not given or space not in infos:
        return SectionBounds()
    kept = JsonKeys(infos[space].key)
    try:
        return SectionBounds(**{name: kept.bound(shown) for name, shown in given.items()})
    except ValueError as error:
        raise InvalidRequest(f"a bound is no key of the space, whose keys are {infos[space].key}: {error}") from None


def _json_of(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text  # so that the quotes of a string may be left out


@contextmanager
def _file(path: str) -> Iterator[BinaryIO]:
    """Open the file of an export. Its damage and refusals of the system are errors that name it."""
    from shardstore.exchange.exporting import refusals_of

    try:
        with refusals_of(path), open(path, "rb") as file:
            yield file
    except Corruption as error:
        if error.file != path:
            raise
        raise Failed(str(error)) from None


COMMANDS = (export_command, import_command)
