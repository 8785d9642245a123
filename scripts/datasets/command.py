"""The command line of load_dataset.py: one command for each format, and their common options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click

from datasets.csv_rows import check_columns, is_readable, read_csv
from datasets.deb822 import read_deb822
from datasets.inputs import FileInput, Format, Input
from datasets.json_lines import read_json_lines
from datasets.plain_lines import read_lines
from datasets.pysource import SourceTree, standard_library
from datasets.records import BadData
from datasets.running import Settings, run


def loads(command: Callable[..., list[Input]]) -> Callable[..., None]:
    """A decorator: makes a command that loads the inputs the function returns, with the common options."""

    @click.option("--url", help="Address of the cluster, as printed by `shardstore serve`. [default: that of --data]")
    @click.option(
        "--data",
        default="data",
        show_default=True,
        type=click.Path(),
        help="Data directory of a cluster on this host. If none is running there, one is started for the load.",
    )
    @click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for each reply of the cluster.")
    @click.option("--skip-bad", is_flag=True, help="Skip bad records instead of stopping there.")
    @click.option("--restart", is_flag=True, help="Start from the beginning, even if an earlier load can be continued.")
    @click.option("--verify", is_flag=True, help="Read every record back and compare it; count replaced records.")
    @wraps(command)
    def loading(
        url: str | None, data: str, timeout: float, skip_bad: bool, restart: bool, verify: bool, **arguments: Any
    ) -> None:
        run(command(**arguments), Settings(url, data, timeout, skip_bad, restart, verify))

    return loading


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Load real files into a cluster: a running one, or one that is started for the load.

    After Ctrl-C or a crash the same command continues where it stopped. Of records with the same key the last one
    wins. FILE may be compressed (.gz, .xz, .bz2), or `-` for the standard input, which cannot be continued.
    Until all is loaded, the cluster stores the progress under keys that begin with a zero byte and
    `load_dataset/`.

    \b
    Exit codes: 0 done, 1 bad data or differences, 2 wrong usage, 3 the cluster cannot be reached or refused,
    130 Ctrl-C.
    """


FILES = click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
PREFIX = click.option("--prefix", default="", help="Prefix of all keys.")


def _names(context: click.Context, parameter: click.Parameter, value: str | None) -> list[str] | None:
    if value is None:
        return None
    names = value.split(",")
    if not all(names):
        raise click.BadParameter("must be names separated by commas")
    return names


def _path_of_names(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not all(value.split(".")):
        raise click.BadParameter("must be the name of a field, or several names separated by dots")
    return value


def _delimiter(context: click.Context, parameter: click.Parameter, value: str) -> str:
    value = value.replace("\\t", "\t")
    if len(value) != 1 or value in '\r\n"':
        raise click.BadParameter("must be one character, or \\t for a tab")
    return value


def _encoding(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not is_readable(value):
        raise click.BadParameter(f"{value} is unknown or not an extension of ASCII: convert the file to UTF-8")
    return value


@main.command()
@click.argument("directory", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@loads
def pysource(directory: Path | None) -> list[Input]:
    """Every line of Python source below DIRECTORY; the default is the standard library, as in the demonstration.

    The key is `path:line-number`, the value is the line with its end. Folders named site-packages are skipped.
    """
    return [SourceTree(directory or standard_library())]


@main.command("csv")
@FILES
@click.option("--key", required=True, callback=_names, metavar="COLUMN[,COLUMN...]", help="Columns that make the key.")
@click.option("--columns", callback=_names, metavar="COLUMN,...", help="Names of the columns. [default: the first row]")
@click.option(
    "--delimiter", default=",", show_default=True, callback=_delimiter, help="Separator of columns; \\t is a tab."
)
@click.option("--encoding", default="utf-8", show_default=True, callback=_encoding, help="Encoding of the file.")
@click.option("--raw", is_flag=True, help="The value is the unchanged row.")
@PREFIX
@loads
def csv_command(files: Sequence[str], **options: Any) -> list[Input]:
    """Rows of CSV files. The value is a JSON object of the columns; colons separate the columns of a key."""
    if options["columns"]:
        try:
            check_columns(options["columns"], options["key"])
        except BadData as error:
            raise click.UsageError(str(error)) from None
    return _inputs(files, Format("csv", read_csv, options))


@main.command()
@FILES
@click.option(
    "--key",
    required=True,
    callback=_path_of_names,
    metavar="FIELD[.FIELD...]",
    help="Path to the field that is the key.",
)
@PREFIX
@loads
def jsonl(files: Sequence[str], **options: Any) -> list[Input]:
    """JSON objects, one per line. The value is the unchanged line."""
    return _inputs(files, Format("jsonl", read_json_lines, options))


@main.command()
@FILES
@click.option("--key-is-line", is_flag=True, help="The line is the key; the value is empty.")
@PREFIX
@loads
def lines(files: Sequence[str], **options: Any) -> list[Input]:
    """Lines of any bytes. The key is the line number in twelve digits."""
    if len(files) > 1 and not options["key_is_line"]:
        raise click.UsageError("the lines of several files have the same numbers: load each file with its own --prefix")
    return _inputs(files, Format("lines", read_lines, options))


@main.command()
@FILES
@click.option("--key", required=True, callback=_names, metavar="FIELD[,FIELD...]", help="Fields that make the key.")
@PREFIX
@loads
def deb822(files: Sequence[str], **options: Any) -> list[Input]:
    """Paragraphs of Debian control files. The value is the paragraph; colons separate the fields of a key."""
    return _inputs(files, Format("deb822", read_deb822, options))


def _inputs(files: Sequence[str], form: Format) -> list[Input]:
    return [FileInput(file, form) for file in files]
