"""The commands that make, list and revoke the keys of clients over tcp."""

from __future__ import annotations

import json
import os
from contextlib import closing
from typing import TYPE_CHECKING

import click

from shardstore.cli import output
from shardstore.cli.connection import DEFAULT_DATA
from shardstore.cli.failures import failures_in_one_line
from shardstore.cli.help_texts import Group
from shardstore.client_role import ROLES
from shardstore.errors import InvalidRequest
from shardstore.system.running_cluster import DATA_VARIABLE, last_announced

if TYPE_CHECKING:
    from shardstore.access.key_store import KeyStore
    from shardstore.system.posix_filesystem import PosixFilesystem

_SHOWN_DIGITS = 16
_data = click.option(
    "--data",
    default=DEFAULT_DATA,
    envvar=DATA_VARIABLE,
    show_default=True,
    show_envvar=True,
    type=click.Path(file_okay=False),
    help="Data directory of the store.",
)


@click.group(cls=Group)
def keys() -> None:
    """Make, list and revoke the keys of clients over tcp.

    A store whose directory has keys encrypts what goes over tcp, and lets in only clients with a listed key. Clients on
    this host, over its Unix socket, need none.
    """


@keys.command()
@click.argument("name")
@click.option("--role", required=True, type=click.Choice([*ROLES]), help="What the client may do.")
@click.option("--to", type=click.Path(dir_okay=False), help="File of the key. [default: NAME.key, here]")
@_data
def new(name: str, role: str, to: str | None, data: str) -> None:
    """Make a key, let it in from now on, and write its file.

    Copy the file to the client. There is no other copy of its secret.
    """
    path = f"{name}.key" if to is None else to
    with failures_in_one_line(), closing(_filesystem(data, make=True)) as filesystem:
        from shardstore.access.key_list import checked_name  # noqa: PLC0415  (only this command needs it)

        checked_name(name)
        store = _store(filesystem, data)
        is_first = not store.has_server
        store.add(name, ROLES[role], path)
        running = last_announced(data)
    output.say(f"wrote {path}: with it, a client has the role {role}")
    if is_first and running is not None and running.url.startswith("tcp://"):
        output.say("restart the store: until then, it listens without keys")


@keys.command("list")
@_data
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_keys(data: str, as_json: bool) -> None:
    """Print the keys that are let in: name, role, and the first digits of the public key."""
    with failures_in_one_line(), closing(_filesystem(data)) as filesystem:
        listed = _store(filesystem, data).listed()
    if as_json:
        rows = [{"name": each.name, "role": each.role.word, "public": each.public.hex()} for each in listed]
        output.say(json.dumps(rows))
        return
    width = max([len(each.name) for each in listed], default=0)
    lines = [f"{each.name:{width}}  {each.role.word:5}  {each.public.hex()[:_SHOWN_DIGITS]}" for each in listed]
    output.say("\n".join(lines) or "no keys")


@keys.command()
@click.argument("name")
@_data
def revoke(name: str, data: str) -> None:
    """Let a key in no more. Its open connections end within a second."""
    with failures_in_one_line(), closing(_filesystem(data)) as filesystem:
        _store(filesystem, data).revoke(name)
    output.say(f"revoked {name}")


def _filesystem(data: str, make: bool = False) -> PosixFilesystem:
    from shardstore.system.posix_filesystem import PosixFilesystem  # noqa: PLC0415  (other commands do not need it)

    if not make and not os.path.isdir(data):
        raise InvalidRequest(f"there is no directory {data}: name the data directory of a store with --data")
    return PosixFilesystem(data)


def _store(filesystem: PosixFilesystem, data: str) -> KeyStore:
    from shardstore.access.key_store import KeyStore  # noqa: PLC0415  (slow to load)

    return KeyStore(filesystem, data, os.urandom)
