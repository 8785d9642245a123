"""The bootstrap of the scripts: which interpreters it refuses, and when it installs."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[3] / "scripts"
PROJECT = '[project]\n[dependency-groups]\ndev = ["tester>=1", "linter"]\nbench = ["plotter"]\n'


@pytest.fixture
def bootstrap() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", SCRIPTS / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def environment(bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """An environment of a small project; `environment.log` records making, installing and starting."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    environment = bootstrap.Environment(str(tmp_path))
    environment.log = []

    def execute(python: str, arguments: list[str]) -> None:
        environment.log.append("start")

    def run(command: list[str], take: Callable[[str], None]) -> tuple[int, str]:
        environment.log.append(" ".join(["install", *command[command.index(str(tmp_path)) + 1 :]]))
        return 0, ""

    def make() -> None:
        environment.log.append("make")
        Path(environment.python).parent.mkdir(parents=True, exist_ok=True)
        Path(environment.python).touch()

    monkeypatch.setattr(os, "execv", execute)
    monkeypatch.setattr(bootstrap, "run", run)
    monkeypatch.setattr(environment, "_make", make)
    return environment


@pytest.mark.parametrize("script", ["bootstrap.py", "run_tests.py", "launch_cluster.py"])
def test_what_an_old_python_reads_first_is_no_syntax_error_to_it(script: str) -> None:
    ast.parse((SCRIPTS / script).read_text(), feature_version=(3, 6))


def test_an_old_python_is_told_what_is_needed(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 2))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer"):
        bootstrap.check_python()


def test_a_python_without_venv_is_told_so(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(SystemExit, match="has no venv module"):
        bootstrap.check_python()


def test_installs_once_and_then_only_starts(environment) -> None:
    environment.enter()
    environment.enter()
    assert environment.log == ["make", "install", "start", "start"]


def test_installs_again_when_the_project_file_changes(environment, tmp_path: Path) -> None:
    environment.enter()
    (tmp_path / "pyproject.toml").write_text(PROJECT + "more = []\n")
    environment.log.clear()
    environment.enter()
    assert environment.log == ["make", "install", "start"]


def test_installs_again_for_another_interpreter(environment, monkeypatch: pytest.MonkeyPatch) -> None:
    environment.enter()
    monkeypatch.setattr(sys, "version", "3.99")
    environment.log.clear()
    environment.enter()
    assert environment.log == ["make", "install", "start"]


def test_dependency_groups_are_added_and_then_kept(environment, tmp_path: Path) -> None:
    environment.enter()
    environment.enter(groups=("dev",))
    environment.enter()
    assert environment.log == ["make", "install", "start", "make", "install tester>=1 linter", "start", "start"]
    (tmp_path / "pyproject.toml").write_text(PROJECT + "more = []\n")
    environment.enter()
    assert environment.log[-2:] == ["install tester>=1 linter", "start"]


def test_a_failed_installation_is_not_taken_for_a_good_one(
    environment, bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap, "run", lambda command, take: (1, "ERROR: no such package\n"))
    with pytest.raises(SystemExit, match="the installation failed"):
        environment.enter()
    assert "ERROR: no such package" in capsys.readouterr().err
    assert "start" not in environment.log
    assert not os.path.exists(os.path.join(environment.directory, "shardstore-install.json"))


def test_inside_the_environment_nothing_is_started_again(environment, monkeypatch: pytest.MonkeyPatch) -> None:
    environment.enter()
    monkeypatch.setattr(sys, "prefix", environment.directory)
    environment.log.clear()
    environment.enter()
    assert environment.log == []


def test_a_damaged_receipt_counts_for_nothing(environment) -> None:
    environment.enter()
    receipt = Path(environment.directory, "shardstore-install.json")
    assert json.loads(receipt.read_text())["groups"] == []
    receipt.write_text("{")
    environment.log.clear()
    environment.enter()
    assert environment.log == ["make", "install", "start"]


def test_elsewhere_than_on_a_terminal_each_step_is_a_line(
    bootstrap: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    pip = "print('Obtaining file:///x'); print('Collecting numpy>=1.26 (from x)'); print('  Using cached numpy')"
    with bootstrap.Progress("installing") as progress:
        code, words = bootstrap.run(
            [sys.executable, "-c", pip + "; print('Installing collected packages: a, b')"], progress.step
        )
    assert (code, words.count("\n")) == (0, 4)
    assert capsys.readouterr().out.splitlines() == [
        "installing",
        "  1: Collecting numpy>=1.26",
        "  2: Installing collected packages: a, b",
    ]


def test_on_a_terminal_one_line_shows_seconds_and_step(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown = ""
    with bootstrap.Progress("installing") as progress:
        progress.step("Collecting numpy")
        while "0 s  1: Collecting numpy" not in shown:
            shown += capsys.readouterr().out
    assert shown.startswith("installing\n\r\033[K")
    assert "done in" in capsys.readouterr().out


def test_a_command_that_fails_answers_its_code_and_words(bootstrap: ModuleType) -> None:
    assert bootstrap.run([sys.executable, "-c", "import sys; sys.exit('no')"], lambda line: None) == (1, "no\n")
