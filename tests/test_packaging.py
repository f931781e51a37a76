"""What is shipped: a source archive, a wheel made from it, and that wheel at work far from the repository, offline."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from helpers import REPOSITORY, write_tree

BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"
SOURCES = ("asdcli", "recipes", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE")


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "ASD_ROOT")}
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, made from the source archive, made from a copy of the repository."""
    folder = tmp_path_factory.mktemp("build")
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy
        copy(REPOSITORY / name, source / name)
    run(sys.executable, "-c", BUILD, "build_sdist", folder, cwd=source)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    run(sys.executable, "-c", BUILD, "build_wheel", folder, cwd=archive.with_name(archive.name.removesuffix(".tar.gz")))
    (made,) = folder.glob("*.whl")
    return made


def test_the_wheel_holds_the_package_and_what_it_reads(wheel: Path) -> None:
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("asdcli/")}
    wanted = {path for path in (REPOSITORY / "asdcli").rglob("*") if path.suffix in (".py", ".yaml", ".typed")}
    names = {path.relative_to(REPOSITORY).as_posix() for path in wanted}
    recipes = {f"asdcli/{path.relative_to(REPOSITORY).as_posix()}" for path in REPOSITORY.glob("recipes/*/*.yaml")}
    assert len(recipes) >= 7
    assert shipped == names | recipes


def test_an_installed_wheel_knows_its_recipes_and_trains_one(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    run(sys.executable, "-m", "pip", f"--python={python}", "install", "--no-index", "--no-deps", wheel, cwd=tmp_path)
    (packages,) = (home / "lib").glob("*/site-packages")
    # The other packages of this environment; its .pth files, among them our editable install, are not read from there.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    place = run(python, "-c", "import asdcli; print(asdcli.__file__)", cwd=tmp_path)
    assert Path(place).is_relative_to(home)
    asd = home / "bin" / "asd"
    shipped = {path.parent.name for path in REPOSITORY.glob("recipes/*/recipe.yaml")}
    assert {recipe["name"] for recipe in json.loads(run(asd, "recipes", "--json", cwd=tmp_path))} == shipped
    write_tree(tmp_path / "root")
    chosen = ["--recipe", "baseline_ae", "--profile", "smoke", "--machine", "SynPump", "--json", "--root", "root"]
    (done,) = json.loads(run(asd, "train", *chosen, cwd=tmp_path))["done"]
    assert (tmp_path / done["path"] / "weights.safetensors").is_file()
