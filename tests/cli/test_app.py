"""The command line as users meet it: real processes, exit codes, and one clear sentence for each mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer.main

from asdcli.cli.app import app, hoist_globals
from asdcli.cli.repeated import refuse_repeated

COMMANDS = ["download", "features", "train", "embed", "score", "ensemble", "evaluate", "recipes", "doctor"]
COMMANDS += ["package-submission", "plot"]


def test_bare_asd_prints_help(asd) -> None:
    assert "package-submission" in asd().stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(asd, command: str) -> None:
    done = asd(command, "--help")
    assert f"asd {command}" in done.stdout
    assert done.stderr == ""


def test_help_imports_nothing_heavy(imported_by_asd) -> None:
    imported = imported_by_asd("--help")
    assert "typer" in imported
    assert not imported & {"torch", "numpy", "scipy", "sklearn", "pandas", "pydantic", "matplotlib"}


def test_version(asd) -> None:
    assert asd("--version").stdout.startswith("asd 0.")


@pytest.mark.parametrize(
    ("arguments", "hoisted"),
    [
        (["train", "--json", "--root", "x", "-m", "fan"], ["--json", "--root", "x", "train", "-m", "fan"]),
        (["--root=x", "train", "-q"], ["--root=x", "-q", "train"]),
        (["train", "--", "--json"], ["train", "--", "--json"]),
        (["train", "--root"], ["--root", "train"]),
    ],
)
def test_global_options_may_stand_anywhere(arguments: list[str], hoisted: list[str]) -> None:
    assert hoist_globals(arguments) == hoisted


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "-m", "fan", "-m", "pump", "--member", "a", "--member", "b", "--seed", "0", "--seed", "1"],
        ["ensemble", "a", "--weight", "a=1", "--weight", "b=1", "--recipe", "--recipe"],
        ["package-submission", "--author", "a", "--author", "b", "-q", "-q"],
        ["train", "--", "--data", "--data"],
        ["train", "--nothing", "--data", "a", "--data", "b"],
    ],
)
def test_what_may_be_repeated_is_not_refused(arguments: list[str]) -> None:
    refuse_repeated(typer.main.get_command(app), hoist_globals(arguments))


def test_json_is_one_document_and_nothing_else(asd, tree: Path) -> None:
    before = asd("--json", "--root", tree, "doctor")
    after = asd("doctor", "--root", tree, "--json")
    assert [f["what"] for f in json.loads(before.stdout)] == [f["what"] for f in json.loads(after.stdout)]


@pytest.mark.parametrize(
    ("arguments", "sentence", "hint"),
    [
        (["trian"], "No such command 'trian'", "asd --help"),
        (["train", "--machin", "fan"], "No such option: --machin", "asd train --help"),
        (["train", "--seed", "one"], "Invalid value for '--seed'", "asd train --help"),
        (["train", "--seed", "-1"], "greater than or equal to 0", "asd train --help"),
        (["train", "--device", "gpu"], "'gpu' is not one of", "asd train --help"),
        (["train", "--recipe", "baseline_ae"], "There is no data under", "asd download demo"),
        (["train", "--data", "dcase2021"], "dcase2021 is not under", "asd download dcase2021"),
        (["download", "dcse2020"], "Unknown edition or weights 'dcse2020'. Did you mean 'dcase2020'?", ""),
        (["download", "dcase2020", "--link", "nowhere"], "There is no folder", ""),
        (["evaluate", "nowhere", "--data", "dcase2022"], "There is no folder nowhere", ""),
        (["evaluate", ".", "--data", "dcase2022"], "holds no score files of dcase2022", "asd score"),
        (["evaluate", "."], "Of which edition are these scores?", "--data dcase2022"),
        (["package-submission", "--check", "nothing.zip"], "There is no package at nothing.zip", ""),
        (["package-submission"], "needs --label and at least one --author", "asd package-submission --help"),
        (["recipes", "show", "baseline"], "Unknown recipe 'baseline'. Did you mean 'baseline_ae'?", ""),
        (["recipes", "print"], "not 'print'", "asd recipes --help"),
        (["recipes", "show", "baseline_ae", "--profile", "tiny"], "Unknown profile", ""),
        (
            ["train", "-r", "padim", "--recipe=baseline_ae"],
            "--recipe takes one value and is given 2 times",
            "asd train",
        ),
        (["evaluate", "-d", "demo", "x", "-d", "demo"], "--data takes one value and is given 2 times", "asd evaluate"),
        (["train", "--root", "a", "--root=b"], "--root takes one value and is given 2 times", "asd --help"),
        (["plot", "map", "x.wav", "--seed", "0", "--seed", "1"], "--seed takes one value", "asd plot map --help"),
        (["train", "--profile", "smoke", "--profile", "full"], "--profile takes one value", "asd train --help"),
        (["package-submission", "--label", "a", "--label", "b"], "--label takes one value", "asd package-submission"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(asd, arguments: list[str], sentence: str, hint: str) -> None:
    done = asd(*arguments, code=2)
    assert done.stdout == ""
    assert sentence in done.stderr
    assert hint in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("Error:") == 1


def test_a_root_that_is_a_file(asd, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "is a file" in asd("train", "--root", "file", code=2).stderr


def test_cuda_without_a_gpu_says_why(asd, tree: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    done = asd("train", "--root", tree, "--recipe", "baseline_ae", "--device", "cuda", code=2)
    assert "--device cuda: " in done.stderr
    assert "asd doctor" in done.stderr


def test_doctor_notices_a_card_that_torch_cannot_use(asd, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho NVIDIA Imaginary 9000\n")
    tool.chmod(0o755)
    done = asd("doctor", "--json", code=1, PATH=f"{tool.parent}:/usr/bin:/bin")
    problem = next(finding for finding in json.loads(done.stdout) if finding["what"] == "GPU")
    assert problem["state"] == "problem"
    assert "Imaginary 9000" in problem["found"]


@pytest.mark.parametrize("columns", ["0", "", "00"])
def test_a_terminal_of_no_width_hides_nothing(asd, columns: str) -> None:
    done = asd("evaluate", "--recipe", "nosuch", code=2, COLUMNS=columns)
    assert "Error:" in done.stderr
