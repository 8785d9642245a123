"""The public names of the package: all exist, and each is loaded at its first use."""

from __future__ import annotations

import subprocess
import sys

import pytest

import shardstore


@pytest.mark.parametrize("name", shardstore.__all__)
def test_every_public_name_is_what_its_module_defines(name: str) -> None:
    value = getattr(shardstore, name)
    assert name in dir(shardstore)
    assert name in {"__version__", "Stats", getattr(value, "__name__", "").rpartition(".")[2]}, (
        "an alias has no name of its own"
    )
    assert getattr(shardstore, name) is value


def test_an_unknown_name_is_refused_as_by_any_module() -> None:
    with pytest.raises(AttributeError, match="module 'shardstore' has no attribute 'conect'"):
        shardstore.conect  # type: ignore[attr-defined]  # noqa: B018


def loaded_by(program: str) -> set[str]:
    """The modules that a program has loaded at its end."""
    tell = f"{program}\nimport sys\nprint(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", tell], capture_output=True, text=True, check=True).stdout.split())


def test_nothing_is_loaded_that_is_not_used() -> None:
    assert not loaded_by("import shardstore") & {"numpy", "zmq", "asyncio", "psutil", "shardstore.client"}
    client = loaded_by("from shardstore import connect, Unavailable, ScanMode")
    assert "shardstore.client.blocking.client" in client
    assert not client & {"asyncio", "psutil", "shardstore.cluster", "importlib.metadata"}
    command = loaded_by(
        "import shardstore.cli.commands, shardstore.client.blocking.connect; "
        "from shardstore.client import surroundings; "
        "surroundings.SocketTransport().close(); surroundings.SystemEntropy().below(7)"
    )
    assert "click" in command
    assert not command & {
        "asyncio",
        "psutil",
        "numpy",
        "logging",
        "hashlib",
        "urllib.request",
        "shardstore.system.listener",
    }
