"""Where a client looks for its store, and which sockets it does not trust."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from threading import enumerate as enumerate_threads

import pytest

from shardstore import Unavailable, connect
from shardstore.client import endpoint_probe
from shardstore.client.endpoint_probe import distrust_of, why_nobody_answers, why_turned_away
from shardstore.client.session.whereabouts import Found
from shardstore.client.store_finder import StoreFinder
from shardstore.errors import TurnedAway
from shardstore.identifiers import tag_of_store
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.system.running_cluster import announce, identity_of

URL = "tcp://127.0.0.1:1"
"""An address at which nobody listens."""


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory with a path short enough for sockets."""
    with TemporaryDirectory(dir="/tmp") as path:
        yield Path(path)


def says(data: Path, url: str, store: str = "store") -> None:
    """Announce a cluster of this process."""
    announce(PosixFilesystem(str(data)), url, store, "/nowhere", identity_of(data))


def in_another_container(data: Path) -> None:
    words = json.loads((data / "ENDPOINT").read_text())
    words["process"]["namespace"] = 1
    (data / "ENDPOINT").write_text(json.dumps(words))


def test_a_directory_leads_to_what_it_announces_now(tmp_path: Path) -> None:
    finder = StoreFinder("", str(tmp_path))
    assert finder.find().url == ""
    assert "no cluster is running" in finder.find().missing
    for url in (URL, "unix:///tmp/other"):
        says(tmp_path, url)
        assert finder.find() == Found(url), "its supervisor runs, so that its router will be there"


def test_a_supervisor_that_cannot_be_seen_vouches_for_nobody(tmp_path: Path) -> None:
    says(tmp_path, URL)
    in_another_container(tmp_path)
    assert StoreFinder("", str(tmp_path)).find() == Found(URL, f"nobody listens at {URL}")


def test_a_directory_that_holds_another_store_now_is_of_no_use(tmp_path: Path) -> None:
    finder = StoreFinder("", str(tmp_path))
    finder.learn(tag_of_store("store"), URL, "")
    says(tmp_path, URL)
    assert finder.find().url == URL
    says(tmp_path, URL, "another")
    found = finder.find()
    assert (found.url, found.for_good) == ("", True)
    assert "another store now" in found.missing


def test_who_was_given_a_url_follows_the_announcement_of_that_very_cluster(tmp_path: Path) -> None:
    finder = StoreFinder(URL, "")
    says(tmp_path, URL)
    finder.learn(tag_of_store("store"), URL, str(tmp_path))
    says(tmp_path, "tcp://127.0.0.1:2")
    assert finder.find().url == "tcp://127.0.0.1:2"
    says(tmp_path, "tcp://127.0.0.1:2", "another")
    assert finder.find().url == URL
    (tmp_path / "ENDPOINT").unlink()
    assert finder.find() == Found(URL, f"nobody listens at {URL}")


@pytest.mark.parametrize(("url", "store"), [("tcp://127.0.0.1:2", "store"), (URL, "another")])
def test_a_directory_of_the_same_name_on_this_host_is_not_followed(tmp_path: Path, url: str, store: str) -> None:
    """The requested cluster may be on another host, behind a tunnel."""
    finder = StoreFinder(URL, "")
    says(tmp_path, url, store)
    finder.learn(tag_of_store("store"), URL, str(tmp_path))
    says(tmp_path, "tcp://127.0.0.1:3")
    assert finder.find().url == URL


def test_a_copy_is_not_followed_to_the_original(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    says(data, URL)
    shutil.copytree(data, tmp_path / "copy")
    assert StoreFinder("", str(tmp_path / "copy")).find().url == ""


def test_whether_somebody_listens(short: Path) -> None:
    path = short / "clients"
    assert why_nobody_answers(f"unix://{path}") == f"there is no socket {path}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert why_nobody_answers(f"unix://{path}") == f"nobody listens at {path}"
        listener.listen()
        assert why_nobody_answers(f"unix://{path}") == ""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        named = url.replace("127.0.0.1", "localhost")
        assert why_nobody_answers(url) == why_nobody_answers(named) == ""
    assert why_nobody_answers(url) == f"nobody listens at {url}"
    assert why_nobody_answers(named) == f"nobody listens at {named}"
    for elsewhere in ("tcp://192.0.2.1:7", "tcp://name:7", "tcp://127.0.0.1", f"unix://{'x' * 200}"):
        assert why_nobody_answers(elsewhere) == ""


def test_a_socket_that_others_may_have_put_there_is_not_believed(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"unix://{short}/clients"
    (short / "clients").touch()
    owner = os.stat(short).st_uid
    assert distrust_of(url, None) == ""
    monkeypatch.setattr(endpoint_probe, "_ROOT", -1)
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert distrust_of(url, None) == (
        f"{short} belongs to another user, in a directory where anybody may put it: it is not trusted"
    )
    assert distrust_of(url, owner) == "", "the user whose data directory announces it"
    assert distrust_of("tcp://127.0.0.1:1", None) == ""
    with pytest.raises(Unavailable, match="is not trusted"):
        connect(url)


def test_a_host_that_has_no_address_is_told_until_the_store_was_met(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    monkeypatch.setattr(socket, "getaddrinfo", raising(refused))
    finder = StoreFinder("tcp://nobody.example:7700", "")
    wait_for_lookups()
    told = "the host 'nobody.example' of the url cannot be found: Name or service not known"
    assert finder.find() == Found("", told, for_good=True)
    finder.learn(1, "tcp://nobody.example:7700", "")
    assert finder.find() == Found("tcp://nobody.example:7700"), "it is connected already"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_a_host_that_has_an_address_is_not_missed(host: str) -> None:
    finder = StoreFinder(f"tcp://{host}:1", "")
    wait_for_lookups()
    assert finder.find().missing == f"nobody listens at tcp://{host}:1"


def test_who_is_cut_off_at_once_was_turned_away(short: Path) -> None:
    url = f"unix://{short}/s"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{short}/s")
        listening.listen()
        assert why_turned_away(url) == "", "nobody has looked at it yet"
        finder = StoreFinder(url, "")
        turning = Thread(target=turn_away, args=(listening, 2))
        turning.start()
        found = finder.find(is_silent=True)
        turning.join()
        assert (found.url, found.is_full) == (url, True)
        assert f"the store at {url} serves its clients, but takes no more connections" in found.missing
        assert isinstance(found.error(), TurnedAway)
    assert why_turned_away(url) == "", "nobody listens"


def turn_away(listening: socket.socket, how_many: int) -> None:
    for _ in range(how_many + 1):
        listening.accept()[0].close()


def raising(error: Exception) -> Callable[..., object]:
    def fail(*_: object) -> object:
        raise error

    return fail


def wait_for_lookups() -> None:
    for thread in enumerate_threads():
        if thread.name.startswith("looks up "):
            thread.join()


# ---------------------------------------------------------------- a store on this host


def from_before_the_boot(data: Path) -> None:
    words = json.loads((data / "ENDPOINT").read_text())
    words["process"]["boot"] = "another"
    (data / "ENDPOINT").write_text(json.dumps(words))


def test_the_data_is_here_once_the_store_has_welcomed_the_client(tmp_path: Path) -> None:
    finder = StoreFinder("", str(tmp_path))
    assert finder.data_here == ""
    says(tmp_path, URL)
    assert finder.data_here == "", "which store it is is not known yet"
    finder.learn(tag_of_store("store"), URL, "")
    assert finder.data_here == str(tmp_path)
    says(tmp_path, "tcp://127.0.0.1:2")
    assert finder.data_here == str(tmp_path), "the next cluster of the same store"


def test_a_url_leads_to_the_data_of_that_very_cluster(tmp_path: Path) -> None:
    says(tmp_path, URL)
    finder = StoreFinder(URL, "")
    assert finder.data_here == ""
    finder.learn(tag_of_store("store"), URL, str(tmp_path))
    assert finder.data_here == str(tmp_path)
    other = StoreFinder(URL, "")
    other.learn(tag_of_store("another"), URL, str(tmp_path))
    assert other.data_here == ""


@pytest.mark.parametrize("change", ["another store", "no announcement", "a copy", "another host"])
def test_the_data_of_another_store_or_host_is_not_here(tmp_path: Path, change: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    says(data, URL)
    finder = StoreFinder("", str(data))
    finder.learn(tag_of_store("store"), URL, "")
    assert finder.data_here == str(data)
    if change == "another store":
        says(data, URL, "another")
    elif change == "no announcement":
        (data / "ENDPOINT").unlink()
    elif change == "a copy":
        data.rename(tmp_path / "original")
        shutil.copytree(tmp_path / "original", data)
    else:
        from_before_the_boot(data)
    assert finder.data_here == ""


def test_a_cluster_in_another_container_of_this_host_has_its_data_here(tmp_path: Path) -> None:
    """Its processes cannot be seen, but its files and boards can."""
    says(tmp_path, URL)
    in_another_container(tmp_path)
    finder = StoreFinder("", str(tmp_path))
    finder.learn(tag_of_store("store"), URL, "")
    assert finder.data_here == str(tmp_path)
