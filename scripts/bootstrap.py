"""Makes the project's virtual environment and runs the current script inside it. Uses only the standard library.

The environment is `.venv` in the project directory. Its file `shardstore-install.json` records what was installed: the
hash of pyproject.toml, the version of the interpreter, and the dependency groups. If any of these does not match, the
project is installed again (editable, so that its code is never stale).

Every Python 3 must be able to parse this file, so that an old version prints a clear message and no syntax error.
"""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time

PYTHON_MIN = (3, 11)
PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Environment:
    """The virtual environment of one project directory."""

    def __init__(self, project: str = PROJECT) -> None:
        self.project = project
        self.directory = os.path.join(project, ".venv")
        self.python = os.path.join(self.directory, "bin", "python")
        self._receipt = os.path.join(self.directory, "shardstore-install.json")

    def enter(self, groups: tuple = ()) -> None:
        """Make or update the environment, and run the current script again inside it."""
        check_python()
        wanted = self._wanted(groups)
        if not self.is_current(wanted):
            self._make()
            self._install(wanted)
        if os.path.realpath(sys.prefix) != os.path.realpath(self.directory):
            sys.stdout.flush()
            os.execv(self.python, [self.python, *sys.argv])

    def is_current(self, wanted: dict) -> bool:
        """Whether the wanted project and interpreter are installed, with at least the wanted groups."""
        installed = self._installed()
        same = all(installed.get(name) == wanted[name] for name in ("project", "python"))
        return same and set(wanted["groups"]) <= set(installed["groups"]) and os.path.exists(self.python)

    def _wanted(self, groups: tuple) -> dict:
        with open(os.path.join(self.project, "pyproject.toml"), "rb") as file:
            project = hashlib.sha256(file.read()).hexdigest()
        # Installed groups are kept, so that one command does not remove what another needs.
        groups = sorted(set(groups) | set(self._installed().get("groups", ())))
        return {"project": project, "python": sys.version, "groups": groups}

    def _installed(self) -> dict:
        try:
            with open(self._receipt) as file:
                return json.load(file)
        except (OSError, ValueError):
            return {}

    def _make(self) -> None:
        import venv  # noqa: PLC0415 (missing on some systems; check_python reports that)

        if self._answer("import pip, sys; print(sys.version)") == sys.version:
            return
        try:
            with Progress(f"making {self.directory}"):
                builder = venv.EnvBuilder(with_pip=True, clear=os.path.exists(self.directory), symlinks=True)
                builder.create(self.directory)
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(f"{self.directory} cannot be made: {error}")

    def _install(self, wanted: dict) -> None:
        pip = [self.python, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
        with Progress(f"installing the project and what it needs into {self.directory}") as progress:
            code, words = run([*pip, "--editable", self.project, *self._packages_of(wanted["groups"])], progress.step)
        if code != 0:
            sys.stderr.write(words)
            sys.exit("the installation failed, see above: is there a network, or a package index pip can reach?")
        with open(self._receipt, "w") as file:
            json.dump(wanted, file)

    def _packages_of(self, groups: list) -> list:
        """The packages in these dependency groups of pyproject.toml. The pip of Python 3.11 does not know groups."""
        import tomllib  # noqa: PLC0415 (since Python 3.11)

        if not groups:
            return []
        with open(os.path.join(self.project, "pyproject.toml"), "rb") as file:
            named = tomllib.load(file)["dependency-groups"]
        return [package for group in groups for package in named[group]]

    def _answer(self, program: str) -> str:
        try:
            return subprocess.check_output([self.python, "-c", program], stderr=subprocess.DEVNULL, text=True).strip()
        except (OSError, subprocess.CalledProcessError):
            return ""


class Progress:
    """Shows the progress of a long task: on a terminal one line with the seconds, elsewhere one line for each step."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._step = ""
        self._steps = 0
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._is_terminal = sys.stdout.isatty()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> "Progress":
        print(self._what, flush=True)
        if self._is_terminal:
            self._ticker.start()
        return self

    def step(self, line: str) -> None:
        """Take a line printed by pip, and show it if it begins a step."""
        words = line.split()
        if words[:1] not in (["Collecting"], ["Building"], ["Installing"]):
            return
        self._steps += 1
        self._step = f"{self._steps}: {' '.join(words[:2]) if words[0] == 'Collecting' else line.strip()}"
        if not self._is_terminal:
            print(f"  {self._step}", flush=True)

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._is_terminal:
            self._ticker.join()
            print(f"\r\033[K  done in {time.monotonic() - self._began:.0f} s", flush=True)

    def _tick(self) -> None:
        while not self._ended.wait(0.2):
            line = f"  {time.monotonic() - self._began:.0f} s  {self._step}"
            print(f"\r\033[K{line[:78]}", end="", flush=True)


def run(command: list, take: object) -> tuple:
    """Run a command and pass each line it prints to `take`. Returns its exit code and its whole output."""
    lines = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as child:
        for line in child.stdout:
            lines.append(line)
            take(line)
    return child.returncode, "".join(lines)


def check_python() -> None:
    """Exit with a clear message if this Python is too old or has no venv module."""
    if sys.version_info[:2] < PYTHON_MIN:
        sys.exit(
            f"shardstore needs Python {PYTHON_MIN[0]}.{PYTHON_MIN[1]} or newer, this is {sys.version.split()[0]}: "
            f"run the command with a newer one, for example `python3.12 {sys.argv[0]}`"
        )
    try:
        import ensurepip  # noqa: F401, PLC0415
        import venv  # noqa: F401, PLC0415
    except ImportError:
        sys.exit("this Python has no venv module: install it (on Debian and Ubuntu: `apt install python3-venv`)")
