"""Where a command may not write: closed and full outputs, full disks, a root only to be read; narrow terminals."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pty
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import invoke
from processes import Command

from asdcli.recipe.loading import load_recipe, recipe_names

Asd = Callable[..., subprocess.CompletedProcess[str]]
SMOKE = ("--recipe", "baseline_ae", "--profile", "smoke")
WHO = ("--label", "Example_UNI_task2_1", "--author", "Erin Example <erin@example.org>, Example University, Sampletown")


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A line of bash in which `asd` is this interpreter's."""
    asd = f'asd() {{ "{sys.executable}" -m asdcli "$@"; }}\n'
    return subprocess.run(["bash", "-c", asd + line], cwd=folder, capture_output=True, text=True)


# --- stdout and stderr ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("asd runs >&-", 1, "Error: stdout is closed: there is nowhere to write the results.\n"),
        ("asd runs --json >&-", 1, "Error: stdout is closed: there is nowhere to write the results.\n"),
        ("asd --version >&-", 1, "Error: stdout is closed: there is nowhere to write the results.\n"),
        ("asd runs >/dev/full", 1, "Error: The disk is full (writing).\n  Free some space;"),
        ("asd --help >/dev/full", 1, "Error: The disk is full (writing).\n  Free some space;"),
        ("asd runs 2>&-", 0, ""),
        ("asd runs nosuch 2>/dev/full", 2, ""),
        ("asd runs nosuch 2>&-", 2, ""),
        ("asd runs nosuch >&- 2>&-", 2, ""),
    ],
)
def test_closed_and_full_outputs(tmp_path: Path, line: str, code: int, said: str) -> None:
    done = shell(line, tmp_path)
    assert done.returncode == code
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == said.count("\n") + said.startswith("Error: The disk")
    assert not done.stdout or "┃ run" in done.stdout


def test_messages_on_a_full_disk_are_lost_and_the_work_is_done(tree: Path) -> None:
    done = shell(f"asd download mine --root {tree} --link {tree}/data/demo/dev_data 2>/dev/full", tree)
    assert done.returncode == 0
    assert (tree / "data/mine").is_dir()


def test_columns_zero_is_no_width(asd: Asd) -> None:
    assert "Error: There is no data under" in asd("evaluate", "--recipe", "nosuch", code=2, COLUMNS="0").stderr


# --- full disks -----------------------------------------------------------------------------------------------------


class Limited(contextlib.AbstractContextManager):
    """Around a command: no file may become larger. What the command says is shorter than that."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __enter__(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.size))

    def __exit__(self, *error: object) -> None: ...


def limited(*arguments: str | Path, size: int = 700) -> subprocess.CompletedProcess[str]:
    return Command(arguments, Path.cwd(), {**os.environ, "COLUMNS": "160"}, Limited(size)).wait()


def assert_no_room(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("Error:") == 1
    assert "Traceback" not in done.stderr


def test_a_full_disk_in_every_command_that_writes(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ends in one sentence and exit code 1, and leaves all as it was for the next try."""
    monkeypatch.chdir(tmp_path)
    root = "--root", tree
    shutil.rmtree(tree / "data/demo/dev_data")
    assert_no_room(limited("download", "demo", "--root", tmp_path / "other"))
    for stage in ("features", "train", "embed", "score", "ensemble"):
        assert_no_room(limited(stage, *SMOKE, *root))
        invoke(stage, *SMOKE, *root)
    assert_no_room(limited("plot", "curves", *SMOKE, *root))
    assert_no_room(limited("package-submission", *WHO, *SMOKE, *root))
    assert not list(tree.rglob("*.tmp"))


# --- a root that is only to be read ---------------------------------------------------------------------------------


class ReadOnly(contextlib.AbstractContextManager):
    """Around a command: not even root may write where the permissions forbid it."""

    def __enter__(self) -> None:
        if os.geteuid():
            return
        libc = ctypes.CDLL(None, use_errno=True)
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        capabilities = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable ones, twice 32 bits
        assert libc.capget(header, capabilities) == 0
        for number in (0, 1):
            capabilities[number] &= ~0b1110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
        assert libc.capset(header, capabilities) == 0

    def __exit__(self, *error: object) -> None: ...


@pytest.fixture
def locked_tree(tree: Path) -> Iterator[Path]:
    """All is made, and no folder can be written any more."""
    invoke("ensemble", *SMOKE, "--root", tree)
    invoke("package-submission", *WHO, *SMOKE, "--root", tree)
    folders = [tree, *(path for path in tree.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield tree
    for folder in folders:
        folder.chmod(0o755)


def test_commands_that_only_read_do_with_a_root_that_cannot_be_written(locked_tree: Path, tmp_path: Path) -> None:
    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = (*arguments, "--root", locked_tree)
        return Command(command, tmp_path, {**os.environ, "COLUMNS": "160"}, ReadOnly()).wait()

    for reading in (
        ("evaluate", *SMOKE, "--bootstrap", "0"),
        ("evaluate", *SMOKE, "--bootstrap", "0", "-m", "SynFan"),  # a fusion of it alone was never made
        ("evaluate", locked_tree / "ensembles/baseline_ae@smoke/demo", "--bootstrap", "0"),
        ("score", *SMOKE),
        ("ensemble", *SMOKE),
        ("recipes", "show", "padim"),
        ("doctor", "--data", "demo"),
        ("runs",),
        ("plot", "curves", *SMOKE, "--output", tmp_path / "figures"),
        ("package-submission", "--check", next(locked_tree.glob("submissions/*/*.zip"))),
    ):
        done = run(*reading)
        assert done.returncode == 0, (reading, done.stderr)
    done = run("ensemble", *SMOKE, "--grid")
    assert done.returncode == 1
    assert "permission" in done.stderr.lower()
    assert done.stderr.count("Error:") == 1


# --- Ctrl-C ---------------------------------------------------------------------------------------------------------


def test_ctrl_c_ends_a_loop_of_the_shell(tree: Path, tmp_path: Path) -> None:
    """A shell goes on with its loop after a command that exits with 130, and not after one that died of SIGINT."""
    os.mkfifo(tmp_path / "begun")
    code = (
        "import os, sys; from asdcli.cli import app, runs\n"
        "from asdcli.stages.looking import run_list\n"
        "def wait(workspace): open('begun', 'w').close(); __import__('time').sleep(600)\n"
        "run_list.list_runs = wait; sys.argv = ['asd', 'runs']; app.main()\n"
    )
    (tmp_path / "asd.py").write_text(code)
    line = f'for i in 1 2 3; do "{sys.executable}" asd.py; echo went on after $?; done'
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    loop = subprocess.Popen(
        ["bash", "-c", line], cwd=tmp_path, text=True, start_new_session=True, env=environment, **pipes
    )
    with open(tmp_path / "begun"):  # opens when the command is at work
        os.killpg(loop.pid, signal.SIGINT)
    said, errors = loop.communicate()
    assert loop.returncode == -signal.SIGINT
    assert said == ""
    assert errors == "Stopped. The same command goes on from here.\n"


# --- narrow terminals -----------------------------------------------------------------------------------------------


def on_terminal(columns: int, *arguments: str) -> str:
    """What a terminal so wide is shown on stdout, without colours."""
    reader, writer = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "asdcli", *arguments], stdout=writer, env={**os.environ, "COLUMNS": str(columns)}
    )
    os.close(writer)
    shown = b""
    with contextlib.suppress(OSError):  # how Linux says that nobody writes any more
        while part := os.read(reader, 65_536):
            shown += part
    assert process.wait() == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).replace("\r", "")


def test_no_name_of_a_recipe_is_cut() -> None:
    words = on_terminal(80, "recipes").replace(",", " ").split()
    for name in recipe_names():
        header = load_recipe(name).header
        assert {name, header.edition, *header.members, *header.systems, *header.title.replace(",", " ").split()} <= {
            *words
        }


def test_help_is_there_without_a_terminal(tmp_path: Path) -> None:
    assert shutil.which("bash")
    assert "130 stopped by Ctrl-C" in " ".join(shell("COLUMNS=80 asd --help", tmp_path).stdout.split())
