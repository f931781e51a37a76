"""meta.yaml: built complete for every edition, and read back as built."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from meta_example import LABEL, example

from asdcli.challenge.editions.edition import edition_names, load_edition
from asdcli.challenge.submission.meta import dump_meta, meta_fields
from asdcli.challenge.submission.meta_check import check_meta, meta_warnings
from asdcli.errors import UserError


@pytest.mark.parametrize("name", edition_names())
def test_a_built_meta_is_valid_complete_and_survives_yaml(name: str) -> None:
    edition = load_edition(name)
    meta = example(name)
    loaded = yaml.safe_load(dump_meta(meta))
    assert loaded == meta
    assert check_meta(loaded, edition, LABEL) == []
    assert meta_warnings(loaded, edition) == []
    for field in meta_fields(edition):
        at: Any = loaded
        for key in field.path.split("."):
            assert key in at
            at = at[key]


def test_the_fields_follow_the_edition() -> None:
    def description(name: str) -> list[str]:
        return list(example(name)["system"]["description"])

    assert description("dcase2020")[:2] == ["input_sampling_rate", "data_augmentation"]
    assert "domain_adaptation_method" not in description("dcase2020")
    assert "domain_adaptation_method" in description("dcase2021")
    assert "attribute_usage" not in description("dcase2021")
    assert description("dcase2022")[7:12] == [
        "domain_adaptation_method",
        "domain_generalization_method",
        "ensemble_method_subsystem_count",
        "decision_making",
        "attribute_usage",
    ]
    assert description("demo") == description("dcase2026")


def test_yaml_reads_like_the_template() -> None:
    text = dump_meta(example(results={"fan": {"auc_source": 71.123456, "pauc": 55}}))
    assert text.startswith("submission:\n  label: Example_UNI_task2_1\n  name: Example autoencoder\n")
    assert "  authors:\n    - lastname: Example\n      firstname: Erin\n      email: erin@example.org\n" in text
    assert "\n\nsystem:\n  description:\n    input_sampling_rate: 16kHz\n    data_augmentation: null\n" in text
    assert text.endswith("    fan:\n      auc_source: 71.1235\n      auc_target: null\n      pauc: 55.0\n")


def test_machine_types_keep_the_order_of_the_edition_and_unknown_ones_are_not_lost() -> None:
    meta = example(results={"valve": {"pauc": 1.0}, "bearing": {"pauc": 1.0}, "mixer": {"pauc": 1.0}})
    assert list(meta["results"]["development_dataset"]) == ["bearing", "valve", "mixer"]


def test_description_fields() -> None:
    assert "attribute_usage" not in example("dcase2020", description={"attribute_usage": "condition"})["system"]
    with pytest.raises(UserError, match="Did you mean 'front_end'"):
        example(description={"frontend": "HPSS"})
