"""Completion as the shells ask for it: a process of its own, given the line in the form of each shell."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from asdcli.recipe.loading import recipe_names

Asd = Callable[..., subprocess.CompletedProcess[str]]


def asked(line: str, root: Path, shell: str = "bash") -> dict[str, str]:
    """What a shell puts into the environment to learn what the last word of a line may become."""
    if shell == "bash":
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    else:
        words = {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    return {"_ASD_COMPLETE": f"complete_{shell}", "ASD_ROOT": str(root), **words}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("asd train --recipe ", recipe_names()),
        ("asd recipes show arc", ["arcface_ensemble"]),
        ("asd train --recipe padim --member ", ["imagenet", "random"]),
        ("asd train --recipe padim --profile smoke --member ", ["random"]),
        ("asd recipes show padim --member im", ["imagenet"]),
        ("asd train -m Syn", ["SynBearing", "SynFan", "SynPump"]),
        ("asd evaluate --data d", ["demo", *(f"dcase{year}" for year in range(2020, 2027))]),
        ("asd download dcase2021 --machine T", ["ToyCar", "ToyTrain"]),
        ("asd train --root nowhere -m ", []),
        ("asd train --recipe nosuch --member ", []),
    ],
)
def test_bash(asd: Asd, tree: Path, line: str, words: list[str]) -> None:
    done = asd(**asked(line, tree))
    assert done.stdout.split() == words
    assert done.stderr == ""


def test_zsh_and_fish(asd: Asd, tree: Path) -> None:
    line = "asd train --recipe base"
    assert asd(**asked(line, tree, "zsh")).stdout == ('_arguments \'*: :(("baseline_ae"\n"baseline_mobilenetv2"))\'\n')
    assert asd(**asked(line, tree, "fish")).stdout.split() == ["baseline_ae", "baseline_mobilenetv2"]


@pytest.mark.parametrize("line", ["asd train --recipe padim --member ", "asd train -m "])
def test_nothing_heavy_is_imported(tree: Path, line: str) -> None:
    environment = {**os.environ, **asked(line, tree), "PYTHONPROFILEIMPORTTIME": "1"}
    command = [sys.executable, "-m", "asdcli"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    modules = {row.rsplit("|", 1)[-1].strip() for row in done.stderr.splitlines()}
    assert "asdcli.cli.completion" in modules
    assert not modules & {"torch", "numpy", "scipy", "sklearn", "matplotlib"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_for_shells(asd: Asd, shell: str) -> None:
    """They ask `asd` itself. Which shell runs is found out by typer, but for here."""
    done = asd("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert f"_ASD_COMPLETE=complete_{shell}" in done.stdout
