"""How many clips an edition's tree should hold, as far as that is known exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from asdcli.challenge.editions.edition import Edition
from asdcli.challenge.editions.scorefiles import Unit

Kind = tuple[str, str, str]
"""Split, domain and label of clips; an empty word stands for all of them."""

PARTS = ("dev", "train", "eval")
"""What is published apart: the development set, additional training clips and test clips of the evaluation set."""


def set_of_part(part: str) -> str:
    """The set whose tree a part goes to: `train` and `eval` lie side by side in eval_data."""
    return "dev" if part == "dev" else "eval"


def expected(edition: Edition, part: str, machine: str, section: str) -> dict[Kind, int | None]:
    """Clips of one section by kind; None where there must be some but no exact number is known."""
    counts: dict[Kind, int | None] = {}
    if part in ("dev", "train"):
        domains = ("source", "target") if edition.domains else ("",)
        known = edition.counts.get("train", {})
        counts |= {("train", domain, ""): known.get(domain) for domain in domains}
    if part in ("dev", "eval"):
        cells = _test_cells(edition, part, machine, section)
        counts |= cells if part == "dev" else _by_name(edition, cells)
    return counts


def clip_count(edition: Edition, set_name: str, unit: Unit) -> int | None:
    """How many test clips a set has of a unit, as the edition's facts tell; None where they do not."""
    cells = _test_cells(edition, set_name, unit.machine, unit.section)
    numbers = [number for (_, domain, _), number in cells.items() if not unit.domain or domain == unit.domain]
    return None if None in numbers else sum(number or 0 for number in numbers) or None


def supplemental_clips(edition: Edition) -> int:
    """Supplemental clips of a machine, 0 where the edition has none."""
    return int(edition.counts.get("supplemental", 0))


def _test_cells(edition: Edition, part: str, machine: str, section: str) -> dict[Kind, int | None]:
    """Test clips by domain and label, in the finest form that is known."""
    own: Mapping[str, Mapping[str, Mapping[str, list[int]]]] = edition.counts.get(f"{part}_by_machine", {})
    known = own.get(machine, {}).get(section) or edition.counts.get(part)
    if known is None:
        return {("test", "", ""): edition.counts.get(f"{part}_total")}
    return {
        ("test", domain.replace("all", ""), label): number
        for domain, pair in known.items()
        for label, number in zip(("normal", "anomaly"), pair, strict=True)
    }


def _by_name(edition: Edition, cells: Mapping[Kind, int | None]) -> dict[Kind, int | None]:
    """Cells added up to what the names of evaluation clips tell: the domain at most."""
    if None in cells.values():
        return dict(cells)
    sums: Counter[Kind] = Counter()
    for (split, domain, _), number in cells.items():
        sums[split, domain if edition.domain_in_eval_names else "", ""] += number or 0
    return dict(sums)
