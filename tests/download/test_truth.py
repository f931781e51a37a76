"""Ground truth from where the organisers publish it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import tree_bytes
from server import Fault, Server, make_zip, running

from asdcli.challenge.editions.counts import expected
from asdcli.challenge.editions.edition import Edition, edition_names, load_edition
from asdcli.challenge.editions.truth import read_truth, truth_from_clips, write_truth
from asdcli.download.transport import Line, NotThereError, Patience
from asdcli.download.truth import fetch_truth, gaps, sources
from asdcli.errors import WorkError

QUICK = Patience(tries=3, tries_at_first=2, first_wait=0.01, longest_wait=0.05)
EDITIONS = [name for name in edition_names() if name != "demo"]


@pytest.fixture
def server() -> Iterator[Server]:
    yield from running()


def official(folder: Path, edition: Edition) -> dict[str, bytes]:
    """Ground truth of every clip of the evaluation set, in the edition's form, as files."""
    rows = []
    for machine, sections in edition.sections["eval"].items():
        for section in sections:
            start = 0
            for (_, domain, _), number in expected(edition, "eval", machine, section).items():
                for index in range(start, start + (number or 0)):
                    name = f"section_{section}_{f'{domain}_test_' if domain else ''}{index:04d}.wav"
                    name = f"id_{section}_{index:08d}.wav" if edition.year == 2020 else name
                    word = domain or (("source", "target")[index // 2 % 2] if edition.domains else "")
                    rows.append((machine, section, name, index % 2, word))
                start += 0 if domain else number or 0
    write_truth(folder, edition, truth_from_clips(rows))
    return tree_bytes(folder)


def put(server: Server, edition: Edition, files: dict[str, bytes]) -> str:
    """On the server as the organisers have it; returns the name that faults go by."""
    if edition.year == 2020:
        server.records[3951620] |= files
        return "eval_data_list.csv"
    source = sources(edition)[0]
    around = f"{source.repository.rpartition('/')[2]}-{source.commit}"
    others = {f"{around}/README.md": b"x", f"{around}/teams/ground_truth_data/x.csv": b"x", f"{around}/LICENSE": b"x"}
    server.pages[f"/{source.repository}/zip/{source.commit}"] = make_zip(
        {**others, **{f"{around}/{name}": data for name, data in files.items()}}
    )
    return source.commit


@pytest.mark.parametrize("name", EDITIONS)
def test_every_edition_over_a_bad_line(server: Server, tmp_path: Path, name: str) -> None:
    edition, line = load_edition(name), Line(server.url, QUICK)
    files = official(tmp_path / "official", edition)
    fault_name = put(server, edition, files)
    server.faults[fault_name] = [Fault(cut=1000), Fault(status=503, body=b"no"), Fault(cut=500, ranges=False)]
    place = tmp_path / "data" / "truth"
    assert gaps(place, edition)
    fetch_truth(edition, line, tmp_path / "work", place)
    assert tree_bytes(place) == files
    assert gaps(place, edition) == []
    assert not list((tmp_path / "work").iterdir())
    assert read_truth(place, edition).clips.keys() == {
        (machine, section) for machine, keys in edition.sections["eval"].items() for section in keys
    }


def test_the_wrong_list_of_2022_is_never_asked_for() -> None:
    assert [source.repository for source in sources(load_edition("dcase2022"))] == ["Kota-Dohi/dcase2022_evaluator"]


def test_the_other_source_of_2025(server: Server, tmp_path: Path) -> None:
    edition, line = load_edition("dcase2025"), Line(server.url, QUICK)
    also = sources(edition)[1]
    rows = []
    for machine in edition.machines["eval"]:
        rows.append(machine)
        for index in range(200):
            word, label = ("source", "target")[index % 2], ("normal", "anomaly")[index // 2 % 2]
            rows.append(f"section_00_{index:04d}.wav,section_00_{word}_test_{label}_{index:04d}_a_1.wav")
    around = f"dcase2023_task2_baseline_ae-{also.commit}"
    files = {f"{around}/datasets/eval_data_list_{year}.csv": "\n".join(rows).encode() for year in (2024, 2025)}
    server.pages[f"/{also.repository}/zip/{also.commit}"] = make_zip(files)
    page = fetch_truth(edition, line, tmp_path / "work", tmp_path / "truth")
    assert page == "https://github.com/nttcslab/dcase2023_task2_baseline_ae"
    assert [path.name for path in (tmp_path / "truth").iterdir()] == ["eval_data_list_2025.csv"]
    assert gaps(tmp_path / "truth", edition) == []


def test_an_incomplete_truth_is_not_placed(server: Server, tmp_path: Path, renamed: dict[str, bool]) -> None:
    edition, line = load_edition("dcase2023"), Line(server.url, QUICK)
    files = official(tmp_path / "official", edition)
    short = {name: data for name, data in files.items() if "shaker" not in name}
    put(server, edition, short)
    with pytest.raises(WorkError, match=r"not complete: shaker section 00: 0 of 200 clips"):
        fetch_truth(edition, line, tmp_path / "work", tmp_path / "truth")
    assert not (tmp_path / "truth").exists()
    place = tmp_path / "truth"
    (place / "ground_truth_data").mkdir(parents=True)
    first = "ground_truth_data/ground_truth_bandsaw_section_00_test.csv"
    (place / first).write_bytes(files[first])
    (place / "notes.txt").write_text("mine")
    assert len(gaps(place, edition)) == 6
    put(server, edition, files)
    fetch_truth(edition, line, tmp_path / "work", place)
    assert tree_bytes(place) == {**files, "notes.txt": b"mine"}
    assert {Path(name).name for name in files} <= renamed.keys()
    assert all(renamed.values())


def test_a_section_with_too_few_clips(tmp_path: Path) -> None:
    edition = load_edition("dcase2021")
    official(tmp_path, edition)
    assert gaps(tmp_path, edition) == []
    path = tmp_path / "ground_truth_data" / "ground_truth_gearbox_section_03_target_test.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    assert gaps(tmp_path, edition) == ["gearbox section 03: 519 of 520 clips"]


def test_no_repository(server: Server, tmp_path: Path) -> None:
    line = Line(server.url, QUICK)
    with pytest.raises(NotThereError):
        fetch_truth(load_edition("dcase2023"), line, tmp_path / "work", tmp_path / "truth")
