"""The command line: input and output of bytes, exit codes, and errors in one line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import shardstore
from shardstore.cli import commands as cli
from shardstore.cli.failures import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_UNFORESEEN
from shardstore.cluster import serve
from shardstore.cluster.settings import ClusterSettings
from shardstore.errors import Busy, Corruption, DiskFull, ScanInvalidated, StorageFailure, Unavailable
from shardstore.segment_options import Compression, SegmentOptions
from shardstore.topology_options import TopologyOptions


class FakeClient:
    """A dict with the methods of a client. Other requests are kept in `asked`."""

    def __init__(self) -> None:
        self.content: dict[bytes, bytes] = {b"a": b"1", b"b\xff": b"2\xfe"}
        self.ttls: dict[bytes, float | None] = {}
        self.asked: list[Any] = []
        self.failure: BaseException | None = None

    def __enter__(self) -> FakeClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.asked.append("closed")

    def get(self, key: bytes, *, timeout: float) -> bytes | None:
        if self.failure:
            raise self.failure
        return self.content.get(key)

    def put(self, key: bytes, value: bytes, *, ttl: float | None, timeout: float) -> None:
        self.content[key] = value
        self.ttls[key] = ttl

    def delete(self, key: bytes, *, timeout: float) -> None:
        self.content.pop(key, None)

    def delete_many(self, keys: list[bytes], *, timeout: float) -> None:
        for key in keys:
            self.content.pop(key, None)

    def scan(self, keys_only: bool = False, *, timeout: float, **bounds: Any) -> Iterator[Any]:
        if self.failure:
            raise self.failure
        self.asked.append(bounds)
        return iter(sorted(self.content) if keys_only else sorted(self.content.items()))

    def stats(self, *, timeout: float) -> dict[str, Any]:
        return {"router": {"ranges": 8}, 0: {"buffered_bytes": 1234567, "ranges": [{"start": b"\x80"}]}}

    def flush(self, *arguments: Any, timeout: float) -> None:
        self.asked.append(("flush", *arguments))

    def compact(self, *arguments: Any, timeout: float) -> None:
        self.asked.append(("compact", *arguments))


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    client = FakeClient()

    def connect(url: str, timeout: float, key: str | None) -> FakeClient:
        client.asked.append((url, timeout))
        return client

    monkeypatch.setattr(shardstore, "connect", connect)
    return client


def run(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(cli.main, arguments, input=stdin)


def test_get_prints_the_value(client: FakeClient) -> None:
    assert (run("get", "a").output, run("get", "a").exit_code) == ("1\n", 0)
    assert run("get", "61", "--hex").output == "31\n"
    assert json.loads(run("get", "a", "--json").output) == {"key": "a", "value": "1"}


def test_get_of_an_absent_key_exits_with_1(client: FakeClient) -> None:
    result = run("get", "nobody")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "no such key: nobody\n")


def test_get_raw_prints_the_bytes_and_nothing_else(client: FakeClient) -> None:
    client.content[b"bytes"] = b"\x00\xff\r\n\xc3"
    assert run("get", "bytes", "--raw").stdout_bytes == b"\x00\xff\r\n\xc3"
    assert run("get", "--hex", b"bytes".hex(), "--raw").stdout_bytes == b"\x00\xff\r\n\xc3"
    refused = run("get", "bytes", "--raw", "--json")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "choose one" in refused.stderr


def test_a_key_that_begins_with_a_dash_and_an_empty_value(client: FakeClient) -> None:
    assert run("put", "--", "-k", "").exit_code == 0
    assert client.content[b"-k"] == b""
    assert run("get", "--", "-k").stdout == "\n"


def test_keys_that_are_no_text_are_shown_by_every_command(client: FakeClient) -> None:
    odd = os.fsdecode(b"b\xff")
    assert json.loads(run("get", odd, "--json").output) == {"key": "b\\xff", "value": "2\\xfe"}
    assert json.loads(run("put", odd, "v", "--json").output) == {"key": "b\\xff", "bytes": 1}
    assert json.loads(run("delete", odd, "--json").output) == {"deleted": ["b\\xff"]}
    assert run("delete", odd).output == "deleted b\\xff\n"
    assert run("get", odd).stderr == "no such key: b\\xff\n"


def test_what_was_not_foreseen_has_an_exit_code_of_its_own(client: FakeClient) -> None:
    client.failure = ZeroDivisionError("planted")
    result = run("get", "a")
    assert result.exit_code == EXIT_UNFORESEEN
    assert "ZeroDivisionError: planted" in result.stderr


def test_an_interrupt_has_an_exit_code_of_its_own(client: FakeClient) -> None:
    client.failure = KeyboardInterrupt()
    assert run("get", "a").exit_code == EXIT_INTERRUPTED


URL = "tcp://127.0.0.1:1"


@pytest.mark.parametrize(
    ("options", "variables", "named"),
    [
        ([], {}, "data"),
        (["--data", "there"], {"SHARDSTORE_URL": URL}, "there"),
        (["--url", URL], {"SHARDSTORE_DATA": "elsewhere"}, URL),
        ([], {"SHARDSTORE_DATA": "elsewhere"}, "elsewhere"),
        ([], {"SHARDSTORE_DATA": "elsewhere", "SHARDSTORE_URL": URL}, URL),
        ([], {"SHARDSTORE_DATA": "", "SHARDSTORE_URL": ""}, "data"),
    ],
)
def test_the_cluster_is_the_one_that_was_named(
    client: FakeClient, monkeypatch: pytest.MonkeyPatch, options: list[str], variables: dict[str, str], named: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    run("get", "a", *options, "--timeout", "5")
    assert client.asked == [(named, 5.0), "closed"]


@pytest.mark.parametrize("option", ["--data", "--url"])
def test_an_empty_name_is_not_taken_for_the_default(client: FakeClient, option: str) -> None:
    result = run("put", "k", "v", option, "")
    assert result.exit_code == 2
    assert "Error: --url or --data is empty: name a cluster, or leave the option out\n" in result.stderr
    assert client.asked == [], "as an unset variable of a script would have it write into another store"


def test_put_takes_the_value_as_a_word_or_from_the_standard_input(client: FakeClient) -> None:
    assert run("put", "k", "wört").exit_code == 0
    assert run("put", "raw", stdin=b"\x00\xff\n").exit_code == 0
    assert run("put", "--hex", "00ff", "0A").exit_code == 0
    assert (client.content[b"k"], client.content[b"raw"]) == ("wört".encode(), b"\x00\xff\n")
    assert client.content[b"\x00\xff"] == b"\n"
    assert run("put", "--ttl", "1.5", "short", "v").exit_code == 0
    assert (client.ttls[b"short"], client.ttls[b"k"]) == (1.5, None)


def test_delete_takes_many_keys(client: FakeClient) -> None:
    assert run("delete", "a", "nobody").exit_code == 0
    assert list(client.content) == [b"b\xff"]


def test_scan_prints_lines_that_show_any_byte(client: FakeClient) -> None:
    assert run("scan").output == "a\t1\nb\\xff\t2\\xfe\n"
    assert run("scan", "--hex").output == "61\t31\n62ff\t32fe\n"
    client.content = {b"a\\n": b"\tb\r\n\x1b", "ö\u2028".encode(): b"\\\\"}
    assert run("scan").output == "a\\\\n\t\\tb\\r\\n\\x1b\nö\\xe2\\x80\\xa8\t\\\\\\\\\n"
    client.content = {b"a": b"1", b"b\xff": b"2\xfe"}
    assert run("scan", "--keys-only", "--json").output == '{"key": "a"}\n{"key": "b\\\\xff"}\n'


def test_scan_passes_its_bounds_on(client: FakeClient) -> None:
    run("scan", "--start", "a", "--end", "b", "--reverse", "--limit", "7")
    bounds = {"start": b"a", "end": b"b", "reverse": True, "limit": 7}
    assert client.asked[1] == {**bounds, "mode": "snapshot", "resume": None}
    run("scan", "--mode", "live", "--keys-only")
    assert client.asked[4] == {"reverse": False, "limit": None, "mode": "live", "resume": None}
    run("scan", "--resume", "0a0b")
    assert client.asked[7]["resume"] == b"\x0a\x0b"


def test_scan_that_is_invalidated_says_how_to_go_on(client: FakeClient) -> None:
    client.failure = ended = ScanInvalidated(b"key", b"\x01token", "so it was")
    result = run("scan")
    assert result.exit_code == 3
    assert (
        result.stderr == f"Error: the scan ended behind b'key': so it was (go on with --resume {ended.token.hex()})\n"
    )


def test_stats_are_indented_lines_or_json(client: FakeClient) -> None:
    assert run("stats").output.startswith("router\n  ranges  8\nworker 0\n  buffered_bytes  1,234,567\n")
    assert json.loads(run("stats", "--json").output)["0"]["ranges"] == [{"start": "\\x80"}]


def test_flush_and_compact(client: FakeClient) -> None:
    assert (run("flush").output, run("compact").output) == ("flushed\n", "compacted\n")
    assert (run("flush", "--no-wait").output, run("compact", "--no-wait").output) == ("accepted\n", "accepted\n")
    run("compact", "--start", "61", "--end", "ff", "--hex")
    assert [asked for asked in client.asked if asked[0] in {"flush", "compact"}] == [
        ("flush", None, None, True),
        ("compact", None, None, True),
        ("flush", None, None, False),
        ("compact", None, None, False),
        ("compact", b"a", b"\xff", True),
    ]


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        (
            Unavailable("worker 1 is not up"),
            "Error: worker 1 is not up (try again in a moment, or see `shardstore status`)\n",
        ),
        (
            DiskFull("disk full: cannot append to /d/LOG"),
            "Error: disk full: cannot append to /d/LOG (make room on that disk; the worker goes on by itself)\n",
        ),
        (StorageFailure("cannot read x: Input/output error"), "Error: cannot read x: Input/output error\n"),
        (
            Corruption("t.sst", 7, "checksum"),
            "Error: t.sst at byte 7: checksum (nothing was changed; other ranges are served.",
        ),
        (
            Busy("worker buffers", 2, 2, 10**7),
            "Error: worker buffers: 2 of 2 used; nothing was applied, retry after 10",
        ),
    ],
)
def test_a_failure_is_one_line(client: FakeClient, failure: Exception, line: str) -> None:
    client.failure = failure
    result = run("get", "a")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith(line)
    assert result.stderr.count("\n") == 1


def test_wrong_hexadecimal_digits_are_explained(client: FakeClient) -> None:
    assert run("get", "--hex", "xyz").stderr == "Error: 'xyz' is not hexadecimal: give two digits per byte\n"


def test_without_a_cluster_the_message_says_how_to_start_one(tmp_path: Path) -> None:
    result = run("get", "a", "--data", str(tmp_path))
    assert result.exit_code == 3
    assert f"start one with `shardstore serve --data {tmp_path}`" in result.stderr


def test_serve_refuses_wrong_settings_in_one_line(tmp_path: Path) -> None:
    result = run("serve", "--data", str(tmp_path), "--listen", "tcp://0.0.0.0:1")
    assert result.exit_code == 3
    assert result.stderr.startswith("Error: tcp://0.0.0.0:1 can be reached from other hosts")


@pytest.mark.parametrize("command", sorted(cli.main.commands))
def test_every_command_has_help(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 5


def test_serve_takes_every_setting_of_segments_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[ClusterSettings] = []
    monkeypatch.setattr(serve, "serve", lambda settings, _: served.append(settings))
    options = ["--compression", "zstd", "--block-bytes", "4096", "--bloom-bits-per-key", "0"]
    sizes = ["--part-min-bytes", "8192", "--part-max-bytes", "16384", "--main-max-bytes", "65536"]
    assert run("serve", "--data", str(tmp_path), *options, *sizes).exit_code == 0
    assert run("serve", "--data", str(tmp_path)).exit_code == 0
    chosen = SegmentOptions(Compression.ZSTD, 4096, 0.0, 8192, 16384, 65536)
    assert [settings.segments for settings in served] == [chosen, SegmentOptions()]
    assert isinstance(served[0].segments.compression, Compression)


def test_serve_refuses_sizes_of_segments_that_do_not_ascend(tmp_path: Path) -> None:
    result = run("serve", "--data", str(tmp_path), "--part-min-bytes", "9", "--part-max-bytes", "8")
    assert result.exit_code == EXIT_FAILED
    assert "sizes ascend" in result.stderr


def test_serve_takes_every_setting_of_topology_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[ClusterSettings] = []
    monkeypatch.setattr(serve, "serve", lambda settings, _: served.append(settings))
    options = ["--no-auto-topology", "--split-bytes", "1048576", "--split-operations", "7"]
    bounds = ["--changes-max", "3", "--cooldown", "0.5"]
    assert run("serve", "--data", str(tmp_path), *options, *bounds).exit_code == 0
    assert run("serve", "--data", str(tmp_path), "--auto-topology").exit_code == 0
    assert [settings.topology for settings in served] == [TopologyOptions(False, 1 << 20, 7, 3, 0.5), TopologyOptions()]


def test_serve_refuses_settings_of_topology_that_make_no_sense(tmp_path: Path) -> None:
    result = run("serve", "--data", str(tmp_path), "--changes-max", "0")
    assert result.exit_code == EXIT_FAILED
    assert "changes_max is 1 to 64, not 0" in result.stderr
