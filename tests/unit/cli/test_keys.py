"""`shardstore keys`: makes, lists and revokes keys, and shows no secret."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shardstore.access.client_keys import read_client_key
from shardstore.cli import commands as cli
from shardstore.cli.failures import EXIT_FAILED


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHARDSTORE_DATA", "store")


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.main, ["keys", *words])


def test_keys_are_made_listed_and_revoked() -> None:
    made = run("new", "alice", "--role", "read")
    assert made.output == "wrote alice.key: with it, a client has the role read\n"
    assert run("new", "bob", "--role", "admin", "--to", "b.key").exit_code == 0
    alice, bob = read_client_key("alice.key"), read_client_key("b.key")
    assert (alice.name, alice.role, bob.role) == ("alice", "read", "admin")
    shown = run("list").output.splitlines()
    assert shown == [f"alice  read   {alice.public.hex()[:16]}", f"bob    admin  {bob.public.hex()[:16]}"]
    assert run("revoke", "alice").output == "revoked alice\n"
    assert json.loads(run("list", "--json").output) == [{"name": "bob", "role": "admin", "public": bob.public.hex()}]
    assert run("revoke", "bob").exit_code == 0
    assert run("list").output == "no keys\n"


def test_nothing_that_is_printed_holds_a_secret() -> None:
    said = [
        run("new", "alice", "--role", "read"),
        run("list"),
        run("list", "--json"),
        run("new", "alice", "--role", "write"),
    ]
    secrets = re.findall(r"secret (\w+)", Path("alice.key").read_text() + Path("store/SERVER.KEY").read_text())
    assert len(secrets) == 2
    assert not [secret for secret in secrets for result in said if secret[:16] in result.output]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            "list --data nowhere",
            EXIT_FAILED,
            "there is no directory nowhere: name the data directory of a store with --data",
        ),
        ("revoke alice", EXIT_FAILED, "there is no directory store"),
        ("new alice", 2, "Missing option '--role'"),
        ("new alice --role root", 2, "'root' is not one of 'read', 'write', 'admin'"),
        ("new ../alice --role read", EXIT_FAILED, "is no name of a key"),
        ("new alice --role read --to nowhere/a.key", EXIT_FAILED, "cannot be made: No such file or directory"),
    ],
)
def test_mistakes_are_told_in_one_line(words: str, code: int, said: str) -> None:
    result = run(*words.split())
    assert result.exit_code == code
    assert said in result.output
    assert "Traceback" not in result.output


def test_a_key_that_could_not_be_written_is_not_let_in() -> None:
    assert run("new", "alice", "--role", "read", "--to", "nowhere/a.key").exit_code == EXIT_FAILED
    assert run("list").output == "no keys\n"
