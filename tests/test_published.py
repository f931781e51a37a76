"""Published numbers in recipes are consistent with themselves: their official scores recompute from their tables."""

from __future__ import annotations

import numpy as np
import pytest

from asdcli.challenge.editions import load_edition
from asdcli.challenge.metrics import harmonic_mean
from asdcli.recipe import Published, load_recipe, recipe_names

TABLES = [
    pytest.param(table, id=f"{name}-{table.edition}-{table.set}-{table.system}")
    for name in recipe_names()
    for table in load_recipe(name).header.published
]


@pytest.mark.parametrize("table", TABLES)
def test_published_table(table: Published) -> None:
    edition = load_edition(table.edition)
    assert set(table.machines) <= set(edition.machines[table.set])
    values = np.array([value for machine in table.machines.values() for value in machine.values()])
    assert ((0 < values) & (values < 1)).all()
    if table.official_score is not None:
        assert harmonic_mean(values) == pytest.approx(table.official_score, abs=6e-5)
