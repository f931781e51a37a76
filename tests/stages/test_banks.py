"""What a detector of a section is fitted to."""

from __future__ import annotations

import numpy as np
import pytest

from asdcli.audio.clips import ClipTable
from asdcli.recipe.loading import load_recipe
from asdcli.stages.banks import Embedded, FittedSection

METHOD = load_recipe("arcface_ensemble").resolve(member="resnet50_512")
CLIPS = 12  # of each section: source and target in turn, half of them test clips


@pytest.fixture
def embedded() -> Embedded:
    """Two sections whose domains point into four directions."""
    n = 2 * CLIPS
    numbers = np.arange(n)
    columns = {
        "path": [f"fan/{number}.wav" for number in numbers],
        "machine": ["fan"] * n,
        "section": np.repeat(["00", "01"], CLIPS).tolist(),
        "domain": np.tile(["source", "target"], CLIPS).tolist(),
        "split": np.tile(["train", "train", "test", "test"], CLIPS // 2).tolist(),
        "label": [0] * n,
        "attributes": [{}] * n,
    }
    clips = ClipTable.from_columns(columns)
    direction = 2 * (clips.section == "01") + (clips.domain == "target")
    values = np.eye(4)[direction] + 0.1 * np.random.default_rng(0).standard_normal((n, 4))
    return Embedded(clips, np.full(n, "dev"), {"embedding": values})


def fitted(embedded: Embedded, section: str = "00", **changes: object) -> FittedSection:
    return FittedSection(METHOD, METHOD.detectors["cosine"].model_copy(update=changes), embedded, section)


def test_a_section_or_the_machine(embedded: Embedded) -> None:
    is_train = embedded.clips.split == "train"
    here = is_train & (embedded.clips.section == "00")
    np.testing.assert_array_equal(fitted(embedded).rows, np.flatnonzero(here))
    np.testing.assert_array_equal(fitted(embedded, per="machine").rows, np.flatnonzero(is_train))
    np.testing.assert_array_equal(fitted(embedded, section="05").rows, np.flatnonzero(is_train))  # no clips of its own


def test_each_domain_is_its_own_measure_when_the_recipe_says_so(embedded: Embedded) -> None:
    section = fitted(embedded, domain_wise=True)
    domain = embedded.clips.domain[section.rows]
    for name in ("source", "target"):
        assert abs(section.own[domain == name].mean()) < 1e-9  # no training clip is nearer the other domain
    between = {"embedding": np.array([[1.0, 1.0, 0.0, 0.0]])}  # of the two domains of section 00
    assert section.detector.score(between)[0] > section.own.max()
    assert fitted(embedded).detector.score(between)[0] < fitted(embedded).own.max()  # ten neighbours are of both
