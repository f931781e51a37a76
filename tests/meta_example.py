"""A complete meta file for tests to damage."""

from __future__ import annotations

from typing import Any

from asdcli.challenge.editions.edition import load_edition
from asdcli.challenge.submission.meta import build_meta
from asdcli.challenge.submission.team import parse_author

LABEL = "Example_UNI_task2_1"
ERIN = parse_author("Erin Example <erin@example.org>, Example University, Department of Examples, Sampletown Nowhere")
SAM = parse_author("Sam Sample, Institute of Samples, Sampletown")


def example(edition_name: str = "dcase2024", **changes: Any) -> dict[str, Any]:
    edition = load_edition(edition_name)
    given = {
        "name": "Example autoencoder",
        "abbreviation": "ExAE",
        "authors": [ERIN, SAM],
        "description": {
            "input_sampling_rate": "16kHz",
            "acoustic_features": "log-mel energies",
            "machine_learning_method": "AE",
            "development_data_usage": "development",
        },
        "total_parameters": 269992,
        "results": {m: dict.fromkeys(edition.result_keys, 61.25) for m in edition.machines["dev"]},
    }
    return build_meta(edition, LABEL, **(given | changes))
