"""The command line of load_dataset.py: what each command loads, its messages and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from datasets import batches, command, running

from shardstore import Unavailable
from tests.unit.scripts.datasets.fake_table import FakeTable


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> FakeTable:
    table = FakeTable()
    monkeypatch.setattr(running, "connect", lambda url, timeout: table)
    monkeypatch.setattr(batches, "BATCH_ENTRIES", 2)
    return table


def run(*arguments: str | Path, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(command.main, [*map(str, arguments), "--url", "unix://cluster"], input=stdin)


def file_of(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


PEOPLE = b"country,id,name\nde,1,Ada\nde,2,Bob\nfr,1,Cleo\n"


def test_csv(table: FakeTable, tmp_path: Path) -> None:
    result = run("csv", file_of(tmp_path / "f", PEOPLE), "--key", "country,id", "--prefix", "p/", "--verify")
    assert result.exit_code == 0, result.output
    assert {key: json.loads(value)["name"] for key, value in table.content.items()} == {
        b"p/de:1": "Ada",
        b"p/de:2": "Bob",
        b"p/fr:1": "Cleo",
    }
    loaded, compared = result.stdout.splitlines()
    assert loaded.startswith("loaded 3 records, ")
    assert loaded.endswith("0 calls retried, 0 bad records skipped")
    assert compared.endswith("all others are there, byte for byte")


def test_csv_in_other_forms(table: FakeTable, tmp_path: Path) -> None:
    path = file_of(tmp_path / "f", "1\tä\n".encode("latin-1"))
    options = ("--columns", "id,name", "--delimiter", "\\t", "--encoding", "latin-1", "--raw")
    assert run("csv", path, "--key", "name", *options).exit_code == 0
    assert table.content == {"ä".encode(): b"1\t\xe4"}


def test_jsonl_from_the_standard_input(table: FakeTable) -> None:
    assert run("jsonl", "-", "--key", "user.id", stdin=b'{"user":{"id":7}}\n').exit_code == 0
    assert table.content == {b"7": b'{"user":{"id":7}}'}


def test_lines(table: FakeTable, tmp_path: Path) -> None:
    assert run("lines", file_of(tmp_path / "f", b"a\nb\n")).exit_code == 0
    assert table.content == {b"000000000001": b"a", b"000000000002": b"b"}


def test_lines_of_several_files_as_keys(table: FakeTable, tmp_path: Path) -> None:
    first, second = file_of(tmp_path / "f", b"a\n"), file_of(tmp_path / "g", b"b\n")
    assert run("lines", first, second, "--key-is-line").exit_code == 0
    assert table.content == {b"a": b"", b"b": b""}


def test_deb822(table: FakeTable, tmp_path: Path) -> None:
    assert (
        run("deb822", file_of(tmp_path / "f", b"Package: a\nVersion: 1\n"), "--key", "Package,Version").exit_code == 0
    )
    assert table.content == {b"a:1": b"Package: a\nVersion: 1\n"}


def test_pysource(table: FakeTable, tmp_path: Path) -> None:
    file_of(tmp_path / "x.py", b"import this\n")
    assert run("pysource", tmp_path).exit_code == 0
    assert table.content == {b"x.py:00000001": b"import this\n"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["csv", "FILE", "--key", "a,,b"], "must be names separated by commas"),
        (["jsonl", "FILE", "--key", ""], "must be the name of a field"),
        (["jsonl", "FILE", "--key", "a..b"], "must be the name of a field"),
        (["csv", "FILE", "--key", "a", "--delimiter", "ab"], "must be one character"),
        (["csv", "FILE", "--key", "a", "--delimiter", '"'], "must be one character"),
        (["csv", "FILE", "--key", "a", "--encoding", "utf-16"], "utf-16 is unknown or not an extension of ASCII"),
        (["csv", "FILE", "--key", "a", "--columns", "b,c"], "there is no column 'a'; there are 'b', 'c'"),
        (["csv", "FILE"], "Missing option '--key'"),
        (["lines"], "Missing argument 'FILE...'"),
        (["lines", "nowhere"], "'nowhere' does not exist"),
        (["lines", "FILE", "FILE"], "load each file with its own --prefix"),
        (["lines", "-", "--verify"], "--verify reads the input twice"),
    ],
)
def test_wrong_usage_is_explained(table: FakeTable, tmp_path: Path, arguments: list[str], message: str) -> None:
    path = str(file_of(tmp_path / "f", PEOPLE))
    result = run(*[path if word == "FILE" else word for word in arguments])
    assert (result.exit_code, table.calls) == (2, [])
    assert message in " ".join(result.stderr.replace("│", "").split())


def test_a_bad_line_ends_the_load_with_1(table: FakeTable, tmp_path: Path) -> None:
    path = file_of(tmp_path / "f", PEOPLE.replace(b"de,2,Bob", b"de,2"))
    result = run("csv", path, "--key", "country,id")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        "stopped: 1 record of this run is certain to be loaded; the same command continues from there",
        f"Error: {path}:3: 2 columns instead of 3 (use --skip-bad to skip it)",
    ]
    result = run("csv", path, "--key", "country,id", "--skip-bad")
    assert (result.exit_code, len(table.content)) == (0, 2)
    assert "loaded 1 records" in result.stdout
    assert result.stdout.endswith("1 bad records skipped\n")


def test_differences_end_it_with_1(table: FakeTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file_of(tmp_path / "f", b"a\nb\nc\n")
    monkeypatch.setattr(running, "remove_marks", lambda sources, db: table.content.update({b"000000000002": b"x"}))
    result = run("lines", path, "--verify")
    assert result.exit_code == 1
    assert f"{path}:2: another value: 000000000002\n" in result.stdout
    assert result.stdout.endswith("1 are different\n")


def test_an_unreachable_cluster_ends_it_with_3(
    table: FakeTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(url: str, timeout: float) -> Any:
        raise Unavailable("no router answers")

    monkeypatch.setattr(running, "connect", connect)
    result = run("lines", file_of(tmp_path / "f", b"a\n"))
    assert (result.exit_code, result.stderr) == (3, "Error: no router answers\n")


def test_ctrl_c_ends_it_with_130_and_the_next_run_goes_on(table: FakeTable, tmp_path: Path) -> None:
    path = file_of(tmp_path / "f", b"a\nb\nc\n")
    table.failures = {3: KeyboardInterrupt()}
    result = run("lines", path)
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.splitlines() == [
        "stopped: 2 records of this run are certain to be loaded; the same command continues from there",
        "interrupted",
    ]
    assert "loaded 1 records" in run("lines", path).stdout
    assert sorted(table.content.values()) == [b"a", b"b", b"c"]


def test_ctrl_c_promises_nothing_for_the_standard_input(table: FakeTable) -> None:
    table.failures = {2: KeyboardInterrupt()}
    result = run("lines", "-", stdin=b"a\nb\nc\n")
    assert result.stderr.splitlines() == ["stopped: 2 records of this run are certain to be loaded", "interrupted"]


def test_the_cluster_of_the_data_directory_is_found(
    table: FakeTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(running, "running_on", lambda data: SimpleNamespace(url=f"unix://cluster-of-{data}"))
    monkeypatch.setattr(running, "connect", lambda url, timeout: asked.append(url) or table)
    arguments = ["lines", str(file_of(tmp_path / "f", b"a\n")), "--data", "there"]
    assert CliRunner().invoke(command.main, arguments).exit_code == 0
    assert asked == ["unix://cluster-of-there"]


@pytest.mark.parametrize("name", sorted(command.main.commands))
def test_every_command_has_help(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert "--restart" in result.output
