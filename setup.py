"""What pyproject.toml cannot say: the recipes stand at the top of the repository and are shipped inside the package."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithRecipes(build_py):
    """Copies `recipes/` to `asdcli/recipes/`; an editable install reads them where they stand."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            place = Path(self.build_lib) / "asdcli" / "recipes"
            shutil.rmtree(place, ignore_errors=True)  # of an earlier build
            shutil.copytree("recipes", place)


setup(cmdclass={"build_py": BuildWithRecipes})
