"""`asd runs`: what is listed, and that nothing goes without a yes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from helpers import invoke

from asdcli.errors import UserError
from asdcli.recipe.loading import RECIPES


@pytest.fixture
def root(tree: Path, tmp_path: Path) -> Path:
    """A root with a run of a shipped recipe, and one of a recipe that has changed since."""
    mine = shutil.copytree(RECIPES / "baseline_ae", tmp_path / "mine") / "recipe.yaml"
    chosen = ["--profile", "smoke", "--machine", "SynPump", "--device", "cpu", "--root", tree]
    for recipe in ("baseline_ae", mine.parent):
        invoke("train", "--recipe", recipe, *chosen)
    mine.write_text(mine.read_text().replace("hidden: 16", "hidden: 12"))
    return tree


def test_what_is_stale_goes_with_a_yes_and_the_rest_stays(root: Path) -> None:
    listed = json.loads(invoke("runs", "--json", "--root", root))
    assert [run["recipe"] for run in listed] == ["baseline_ae@smoke", "mine@smoke"]
    assert [run["state"] for run in listed] == ["fresh", "stale"]
    assert listed[1]["why"] == "the recipe says otherwise now"
    assert "stale: the recipe says otherwise now" in " ".join(invoke("runs", "--root", root).split())
    with pytest.raises(UserError, match="nobody is there to be asked") as caught:
        invoke("runs", "clean", "--root", root)
    assert caught.value.hint == "--yes"
    done = json.loads(invoke("runs", "clean", "--yes", "--json", "--root", root))
    assert done == {"removed": [listed[1]["path"]], "bytes": listed[1]["bytes"]}
    assert not (root / "runs" / "mine@smoke").exists()
    assert json.loads(invoke("runs", "--json", "--root", root)) == listed[:1]
    assert "Nothing was removed." in invoke("runs", "clean", "--root", root)


def test_a_run_is_removed_by_its_name_or_its_folder(root: Path) -> None:
    first, second = json.loads(invoke("runs", "--json", "--root", root))
    assert first["run"] == second["run"], "the same recipe under two names"
    with pytest.raises(UserError, match="2 runs begin with"):
        invoke("runs", "remove", first["run"], "--yes", "--root", root)
    assert "Removed: 1, " in invoke("runs", "remove", first["path"], "--yes", "--root", root)
    assert json.loads(invoke("runs", "--json", "--root", root)) == [second]
    assert "Removed: 1, " in invoke("runs", "remove", second["run"][:6], "--yes", "--root", root)
    with pytest.raises(UserError, match="There is no run"):
        invoke("runs", "remove", first["run"], "--yes", "--root", root)


def test_what_a_killed_removal_left_is_no_run_and_goes(root: Path) -> None:
    first, second = json.loads(invoke("runs", "--json", "--root", root))
    left = Path(second["path"])
    left = left.rename(left.with_name(f".{left.name}.removed"))
    (left / "run.json").unlink()
    assert json.loads(invoke("runs", "--json", "--root", root)) == [first]
    done = json.loads(invoke("runs", "clean", "--yes", "--json", "--root", root))
    assert done["removed"] == [str(left)]
    assert not left.exists()


def test_a_bare_root_has_no_runs(tmp_path: Path) -> None:
    assert json.loads(invoke("runs", "--json", "--root", tmp_path / "new")) == []
