"""What is wrong with a meta file: each defect is one line, each oddity one warning."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meta_example import LABEL, example

from asdcli.challenge.editions.edition import load_edition
from asdcli.challenge.submission.meta import meta_fields
from asdcli.challenge.submission.meta_check import check_meta, meta_warnings

Mutation = Callable[[dict[str, Any]], Any]
RESULTS = "results.development_dataset"
MUTATIONS: list[tuple[Mutation, str]] = [
    (lambda m: m["submission"].pop("name"), "submission.name is missing"),
    (
        lambda m: m["submission"].update(abbrevation=m["submission"].pop("abbreviation")),
        "submission.abbreviation is missing; 'abbrevation' stands in its place",
    ),
    (lambda m: m["system"].pop("description"), "system.description is missing"),
    (
        lambda m: m["system"]["description"].pop("attribute_usage"),
        "system.description.attribute_usage is missing",
    ),
    (lambda m: m.update(system=[1]), "system should be a mapping, but is a list"),
    (lambda m: m["submission"].update(name=None), "submission.name should be text, but is empty"),
    (lambda m: m["submission"].update(name=2024), "submission.name should be text, but is a whole number"),
    (
        lambda m: m["system"]["description"].update(front_end=["HPSS"]),
        "system.description.front_end should be text, but is a list",
    ),
    (
        lambda m: m["system"]["complexity"].update(total_parameters="1e6"),
        "system.complexity.total_parameters should be a whole number, but is the text '1e6'",
    ),
    (
        lambda m: m["system"]["complexity"].update(total_parameters=1.5),
        "system.complexity.total_parameters should be a whole number, but is the number 1.5",
    ),
    (
        lambda m: m["submission"].update(abbreviation="weight_0.62"),
        "submission.abbreviation 'weight_0.62' has 11 characters; at most 10 are allowed",
    ),
    (
        lambda m: m["submission"].update(label="Other_UNI_task2_1"),
        "submission.label is 'Other_UNI_task2_1', but the folder is named 'Example_UNI_task2_1'",
    ),
    (
        lambda m: m["submission"].update(authors="Erin Example"),
        "submission.authors should be a list, but is the text 'Erin Example'",
    ),
    (
        lambda m: m["submission"]["authors"][0].update(corresponding=False),
        "submission.authors: exactly one author is 'corresponding: true', here none",
    ),
    (
        lambda m: m["submission"]["authors"][1].update(corresponding=True, email="sam@example.org"),
        "submission.authors: exactly one author is 'corresponding: true', here 2",
    ),
    (
        lambda m: m["submission"]["authors"][1].update(corresponding="no"),
        "submission.authors, entry 2: corresponding should be true or false, but is the text 'no'",
    ),
    (
        lambda m: m["submission"]["authors"][0].pop("email"),
        "submission.authors: the corresponding author has no email address",
    ),
    (
        lambda m: m["submission"]["authors"][1]["affiliation"].pop("location"),
        "submission.authors, entry 2: affiliation.location is missing",
    ),
    (
        lambda m: m["submission"]["authors"].append("Max"),
        "submission.authors, entry 3 should be a mapping, but is the text 'Max'",
    ),
    (
        lambda m: m["system"].update(external_datasets=[{"name": "AudioSet"}]),
        "system.external_datasets, entry 1: url is missing",
    ),
    (
        lambda m: m["results"]["development_dataset"].update(fan={"averaged_auc": 60.0}),
        f"{RESULTS}.fan: 'averaged_auc' is a result key of dcase2020; dcase2024 has auc_source, auc_target, pauc",
    ),
    (
        lambda m: [row.update(auc=60.0) for row in m["results"]["development_dataset"].values()],
        f"{RESULTS}.bearing and 6 more: unknown result key 'auc'. Did you mean 'pauc'?",
    ),
    (
        lambda m: m["results"]["development_dataset"]["fan"].update(pauc=101),
        f"{RESULTS}.fan.pauc should be a percentage from 0 to 100, but is 101",
    ),
    (
        lambda m: m["results"]["development_dataset"]["fan"].update(pauc="55 %"),
        f"{RESULTS}.fan.pauc should be a percentage from 0 to 100, but is the text '55 %'",
    ),
    (
        lambda m: m["results"]["development_dataset"].update(vlave={"pauc": 50.0}),
        f"{RESULTS}.vlave: unknown machine type. Did you mean 'valve'?",
    ),
]


@pytest.mark.parametrize(("mutate", "line"), MUTATIONS, ids=[line for _, line in MUTATIONS])
def test_each_defect_is_one_line(mutate: Mutation, line: str) -> None:
    meta = copy.deepcopy(example())
    mutate(meta)
    assert check_meta(meta, load_edition("dcase2024"), LABEL) == [line]


WARNINGS: list[tuple[Mutation, str]] = [
    (
        lambda m: m["system"]["description"].update(ensemble_method="average"),
        "unknown field 'system.description.ensemble_method'. Did you mean 'ensemble_method_subsystem_count'?",
    ),
    (lambda m: m.update(note="hello"), "unknown field 'note'."),
    (
        lambda m: m["system"].update(source_cod=m["system"].pop("source_code")),
        "unknown field 'system.source_cod'. Did you mean 'source_code'?",
    ),
    (lambda m: m["submission"]["authors"][0].update(phone="1"), "submission.authors: unknown field 'phone'."),
    (
        lambda m: m["system"]["complexity"].update(total_parameters=None),
        "empty, though the template asks for a value: system.complexity.total_parameters",
    ),
    (
        lambda m: m["results"].update(development_dataset={"fan": {"auc_source": 0.7, "pauc": 0.5}}),
        f"{RESULTS}: the values look like fractions; they are given in percent",
    ),
]


@pytest.mark.parametrize(("mutate", "line"), WARNINGS, ids=[line for _, line in WARNINGS])
def test_each_oddity_is_one_warning(mutate: Mutation, line: str) -> None:
    meta = copy.deepcopy(example())
    mutate(meta)
    assert check_meta(meta, load_edition("dcase2024"), LABEL) == []
    assert meta_warnings(meta, load_edition("dcase2024")) == [line]


def test_incomplete_results_are_allowed() -> None:
    edition = load_edition("dcase2024")
    for results in (None, {"fan": None}, {"fan": {"pauc": 50.0}}, {"fan": {"pauc": None}}):
        meta = example()
        meta["results"]["development_dataset"] = results
        assert check_meta(meta, edition, LABEL) == []
    del meta["results"]
    assert check_meta(meta, edition, LABEL) == []


yaml_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(value=yaml_values, where=st.sampled_from([f.path for f in meta_fields(load_edition("dcase2025"))] + [""]))
def test_any_value_anywhere_gives_lines_and_no_crash(value: Any, where: str) -> None:
    meta: Any = example("dcase2025")
    keys = where.split(".")
    at = meta
    for key in keys[:-1]:
        at = at[key]
    if where:
        at[keys[-1]] = value
    else:
        meta = value
    edition = load_edition("dcase2025")
    for line in (*check_meta(meta, edition, LABEL), *meta_warnings(meta, edition)):
        assert isinstance(line, str)
        assert line
