"""How processes of the project are started: their environment, and where they find modules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shardstore.errors import InvalidRequest
from shardstore.system.own_program import PACKAGES, command_of, environment

TELLS = """
import json, queue, sys
import lz4, numpy
print(json.dumps({
    "queue": queue.__file__, "lz4": lz4.__file__, "numpy": numpy.__file__, "path": sys.path, "name": __name__,
    "argument": sys.argv[1:],
}))
"""


def told_by_a_child(module: str = "tells", argument: str = "{}") -> Any:
    done = subprocess.run(command_of(module, argument), env=environment(), capture_output=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of the user that is first on the path, with modules that have the names of others."""
    (tmp_path / "tells.py").write_text(TELLS)
    (tmp_path / "queue.py").write_text("raise SystemExit('the wrong queue')")
    (tmp_path / "lz4.py").write_text("raise SystemExit('the wrong lz4')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}/elsewhere")
    return tmp_path


def test_a_child_finds_what_is_meant_and_what_only_this_process_knows_of(users: Path) -> None:
    told = told_by_a_child(argument='{"a": "b c"}')
    assert told["name"] == "__main__"
    assert told["argument"] == ['{"a": "b c"}']
    assert Path(told["queue"]).parent == Path(os.__file__).parent
    assert Path(told["lz4"]).parent.parent == Path(told["numpy"]).parent.parent
    assert str(users) in told["path"]
    assert PACKAGES in told["path"]


def test_a_path_of_any_bytes_reaches_a_child_in_any_locale(users: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = os.fsdecode(b"/odd\xff/gr\xc3\xb6\xc3\x9fe 'and\" space")
    monkeypatch.syspath_prepend(odd)
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PYTHONCOERCECLOCALE", "0")
    monkeypatch.setenv("PYTHONUTF8", "0")
    assert os.fsencode(odd) in map(os.fsencode, told_by_a_child()["path"])


def test_a_relative_entry_is_made_absolute(users: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(users)
    monkeypatch.syspath_prepend("vendor")
    assert str(users / "vendor") in told_by_a_child()["path"]


def test_a_child_sees_the_environment_without_what_would_change_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONUSERBASE", "/somewhere")
    harmful = ("PYTHONOPTIMIZE", "PYTHONINSPECT", "PYTHONWARNINGS")
    for name in harmful:
        monkeypatch.setenv(name, "1")
    seen = environment()
    assert (seen["OPENBLAS_NUM_THREADS"], seen["PYTHONUSERBASE"]) == ("1", "/somewhere")
    assert os.environ.keys() - seen.keys() == set(harmful)


def test_the_interpreter_is_this_one() -> None:
    assert command_of("shardstore.workers", "{}")[0] == sys.executable


def test_a_server_with_a_python_built_in_uses_the_one_of_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/usr/bin/uwsgi")
    assert command_of("shardstore.workers", "{}")[0] == f"{sys.prefix}/bin/python3"


def test_a_program_without_an_interpreter_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/app/app")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(InvalidRequest, match="run `shardstore serve` separately"):
        command_of("shardstore.workers", "{}")
