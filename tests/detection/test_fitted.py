"""What a detector of a section is fitted to."""

from __future__ import annotations

import numpy as np
import pytest

from asdcli.detection.bank import Bank
from asdcli.detection.fitted import FittedSection
from asdcli.recipe.loading import load_recipe

METHOD = load_recipe("arcface_ensemble").resolve(member="resnet50_512")
CLIPS = 12  # of each section: source and target in turn, half of them test clips


@pytest.fixture
def clips() -> Bank:
    """Two sections whose domains point into four directions."""
    section, domain = np.repeat(["00", "01"], CLIPS), np.tile(["source", "target"], CLIPS)
    direction = 2 * (section == "01") + (domain == "target")
    values = np.eye(4)[direction] + 0.1 * np.random.default_rng(0).standard_normal((2 * CLIPS, 4))
    return Bank({"embedding": values}, domain, section)


IS_TRAIN = np.tile([True, True, False, False], CLIPS // 2)


def fitted(clips: Bank, section: str = "00", **changes: object) -> FittedSection:
    return FittedSection(METHOD, METHOD.detectors["cosine"].model_copy(update=changes), clips, IS_TRAIN, section)


def test_a_section_or_the_machine(clips: Bank) -> None:
    here = IS_TRAIN & (clips.section == "00")
    np.testing.assert_array_equal(fitted(clips).rows, np.flatnonzero(here))
    np.testing.assert_array_equal(fitted(clips, per="machine").rows, np.flatnonzero(IS_TRAIN))
    np.testing.assert_array_equal(fitted(clips, section="05").rows, np.flatnonzero(IS_TRAIN))  # no clips of its own


def test_each_domain_is_its_own_measure_when_the_recipe_says_so(clips: Bank) -> None:
    section = fitted(clips, domain_wise=True)
    domain = clips.domain[section.rows]
    for name in ("source", "target"):
        assert abs(section.own[domain == name].mean()) < 1e-9  # no training clip is nearer the other domain
    between = {"embedding": np.array([[1.0, 1.0, 0.0, 0.0]])}  # of the two domains of section 00
    assert section.detector.score(between)[0] > section.own.max()
    assert fitted(clips).detector.score(between)[0] < fitted(clips).own.max()  # ten neighbours are of both
