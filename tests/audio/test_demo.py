"""The demo data: the official form, equal bits for equal seeds, all or nothing on disk, and a fair difficulty."""

from __future__ import annotations

import resource
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score

from asdcli.audio.clips import scan_clips
from asdcli.audio.demo import CLIPS, generate_demo, writer
from asdcli.audio.demo.faults import Fault, slipping
from asdcli.audio.demo.machines import INNER_RACE_ORDER, OUTER_RACE_ORDER, Running
from asdcli.audio.demo.plan import Clip, plan
from asdcli.audio.demo.rigs import RIGS, Rig
from asdcli.audio.demo.scene import record
from asdcli.audio.demo.signals import SAMPLE_RATE_HZ, impulses, ring, shaft_phase, strikes
from asdcli.audio.frontends import LogMel
from asdcli.challenge.editions.edition import load_edition
from asdcli.challenge.editions.truth import read_truth
from asdcli.errors import UserError

MACHINES = {"dev": {"SynBearing": 140, "SynFan": 280, "SynGearbox": 140}, "eval": {"SynPump": 140}}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo")
    seen: list[int] = []
    generate_demo(root, progress=seen.append)
    assert seen[: CLIPS + 1] == [*range(1, CLIPS + 1), CLIPS]
    return root


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only every 70th clip, for tests of what happens on disk."""
    monkeypatch.setattr(writer, "plan", lambda seed: plan(seed)[::70])


@pytest.mark.parametrize("set_name", ["dev", "eval"])
def test_tree_has_the_official_form(root: Path, set_name: str) -> None:
    edition = load_edition("demo")
    clips, strays = scan_clips(root / "data" / "demo" / f"{set_name}_data" / "raw", edition, set_name)
    assert not strays
    assert Counter(clips.machine.tolist()) == MACHINES[set_name]
    train = clips.split == "train"
    cells = Counter(zip(clips.section[train].tolist(), clips.domain[train].tolist(), strict=True))
    sections = {"dev": {"00": 3, "01": 1}, "eval": {"00": 1}}[set_name]
    for section, machines in sections.items():
        assert cells[section, "source"] == 50 * machines
        assert cells[section, "target"] == 10 * machines
    expected = {0: 160, 1: 160} if set_name == "dev" else {-1: 80}
    assert Counter(clips.label[~train].tolist()) == expected


def test_attributes_are_told_or_hidden(root: Path) -> None:
    clips, _ = scan_clips(root / "data" / "demo" / "dev_data" / "raw", load_edition("demo"), "dev")
    for machine, keys in {"SynBearing": {"spd", "load", "bkg"}, "SynFan": {"spd", "bkg"}, "SynGearbox": set()}.items():
        for attributes in clips.select(clips.machine == machine).attributes:
            assert set(attributes) == keys
    names = [Path(path).name for path in clips.select(clips.machine == "SynGearbox").path]
    assert all(name.endswith("_noAttribute.wav") for name in names)


def test_truth_of_the_evaluation_set(root: Path) -> None:
    truth = read_truth(root / "data" / "demo" / "truth", load_edition("demo"))
    (section, clips), *others = truth.clips.items()
    assert (section, others) == (("SynPump", "00"), [])
    assert sorted(clips) == [f"section_00_{number:04d}.wav" for number in range(80)]
    assert Counter(clips.values()) == {(label, domain): 20 for label in (0, 1) for domain in ("source", "target")}


def test_sound_files(root: Path) -> None:
    """16 kHz mono PCM16, lengths by machine, no clip near silence, hardly a sample at full scale."""
    seconds = {"SynBearing": 2.0, "SynFan": 1.6, "SynGearbox": 2.0, "SynPump": 2.5}
    size, clipped = 0, 0
    for path in (root / "data" / "demo").rglob("*.wav"):
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (SAMPLE_RATE_HZ, 1, "PCM_16")
        assert info.frames == seconds[path.parts[-3]] * SAMPLE_RATE_HZ
        samples = soundfile.read(path, dtype="int16")[0].astype(float)
        assert 100 < np.sqrt(np.mean(samples**2)) < 4000
        clipped += np.count_nonzero(np.abs(samples) > 32766)
        size += path.stat().st_size
    assert size < 60e6
    assert clipped < 1000


def test_equal_seeds_give_equal_bits(root: Path) -> None:
    """Each clip has its own random numbers: made alone, in any order, it is the same."""
    for clip in reversed(plan(0)[::60]):
        stored, _ = soundfile.read(root / "data" / "demo" / writer._path(clip), dtype="int16")
        assert np.array_equal(stored, clip.samples(0))
        assert not np.array_equal(stored, clip.samples(1))


def test_says_that_it_is_synthetic(root: Path) -> None:
    assert (root / "data" / "demo" / "README.txt").read_text().startswith("Synthetic")


@pytest.mark.usefixtures("few")
def test_complete_data_are_left_alone(tmp_path: Path) -> None:
    generate_demo(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    generate_demo(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")} == before


@pytest.mark.usefixtures("few")
def test_missing_clips_and_other_seeds_are_made_again(tmp_path: Path) -> None:
    generate_demo(tmp_path)
    first, *_ = wavs = sorted(tmp_path.rglob("*.wav"))
    first.unlink()
    shutil.rmtree(tmp_path / "data" / "demo" / "truth")
    generate_demo(tmp_path)
    assert (tmp_path / "data" / "demo" / "truth").is_dir()
    assert sorted(tmp_path.rglob("*.wav")) == wavs
    bits = first.read_bytes()
    generate_demo(tmp_path, seed=1)
    assert "seed 1." in (tmp_path / "data" / "demo" / "README.txt").read_text()
    generate_demo(tmp_path, seed=0)
    assert first.read_bytes() == bits


@pytest.mark.usefixtures("few")
def test_clips_are_on_the_disk_before_they_have_their_place(tmp_path: Path, renamed: dict[str, bool]) -> None:
    generate_demo(tmp_path)
    assert {path.name for path in tmp_path.rglob("*.wav")} <= renamed.keys()
    assert all(renamed.values())


@pytest.mark.usefixtures("few")
def test_stopped_half_way_leaves_nothing_that_looks_done(tmp_path: Path) -> None:
    def stop(done: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate_demo(tmp_path, progress=stop)
    assert not list(tmp_path.rglob("*.wav"))
    (tmp_path / "data" / ".demo.partial").mkdir()  # as after a kill
    generate_demo(tmp_path)
    assert [path.name for path in (tmp_path / "data").iterdir() if path.is_dir()] == ["demo"]


def test_never_replaces_what_it_did_not_make(tmp_path: Path) -> None:
    mine = tmp_path / "data" / "demo" / "dev_data" / "raw" / "mine.wav"
    mine.parent.mkdir(parents=True)
    mine.touch()
    with pytest.raises(UserError, match="not the demo"):
        generate_demo(tmp_path)
    assert mine.exists()
    shutil.rmtree(tmp_path / "data" / "demo")
    (tmp_path / "data" / "demo").touch()
    with pytest.raises(UserError, match="not the demo"):
        generate_demo(tmp_path)


def test_bearing_orders() -> None:
    """Every ball passes one of the races: the two orders add up to the number of balls."""
    assert pytest.approx(9) == OUTER_RACE_ORDER + INNER_RACE_ORDER
    rng = np.random.default_rng(0)
    phase = shaft_phase(rng, 10 * SAMPLE_RATE_HZ, 25.0)
    rate = len(strikes(rng, phase, OUTER_RACE_ORDER, 0.01)) / 10
    assert rate == pytest.approx(25 * OUTER_RACE_ORDER, rel=0.01)


def test_a_mode_rings_at_its_frequency_and_dies_out() -> None:
    answer = ring(impulses(SAMPLE_RATE_HZ, np.array([100.0]), 1.0), [(1000.0, 0.02, 0.5)])
    assert np.abs(np.fft.rfft(answer)).argmax() == pytest.approx(1000, abs=2)
    time = np.arange(16, 400) / SAMPLE_RATE_HZ  # after one period: the start itself is too sharp for 16 kHz
    decay = 2 * np.pi * 1000 * 0.02
    expected = 0.5 * np.exp(-decay * time) * np.cos(2 * np.pi * 1000 * time)
    assert np.abs(answer[116:500] - expected).max() < 0.02


@pytest.mark.parametrize(("rig", "fault"), [(rig, fault) for rig in RIGS for fault in rig.faults])
def test_each_fault_changes_the_sound_of_its_machine(rig: Rig, fault: Fault) -> None:
    point = rig.source.draw(np.random.default_rng(0))
    quiet = record(np.random.default_rng(1), rig, point, None, 0.0)
    faulty = record(np.random.default_rng(1), rig, point, fault, 1.0)
    assert faulty.dtype == np.int16
    assert faulty.shape == quiet.shape
    assert not np.array_equal(faulty, quiet)


def test_a_slipping_belt_slows_the_shaft_but_never_turns_it_back() -> None:
    rng = np.random.default_rng(0)
    run = Running(rng, shaft_phase(rng, 2 * SAMPLE_RATE_HZ, 25.0), 1.0)
    turns = (run.phase[-1] - run.phase[0]) / (2 * np.pi)
    slipping(run, 1.0)
    assert (np.diff(run.phase) >= 0).all()
    assert 0.75 * turns < (run.phase[-1] - run.phase[0]) / (2 * np.pi) < 0.98 * turns


def test_difficulty(root: Path) -> None:
    """Level tells next to nothing, spectra tell something, nothing tells all; the target domain is the harder one."""
    rigs: dict[tuple[str, str], list[Clip]] = {}
    for clip in plan(0):
        rigs.setdefault((clip.rig.machine, clip.rig.section), []).append(clip)
    figures = np.array([_aucs(root, clips) for clips in rigs.values()])  # [rigs, (level, spectra, source, target)]
    level, spectra, source, target = figures.T
    assert ((spectra > 0.55) & (spectra < 0.95)).all(), figures
    assert ((level > 0.3) & (level < 0.7)).all(), figures
    assert spectra.mean() > level.mean() + 0.1
    assert source.mean() > target.mean() + 0.05


def _aucs(root: Path, clips: list[Clip]) -> tuple[float, float, float, float]:
    """AUC of the level alone, of log-mel means and deviations, and of the latter with normals of one domain only."""
    frontend = LogMel()
    paths = [root / "data" / "demo" / writer._path(clip) for clip in clips]
    waveforms = torch.from_numpy(np.stack([soundfile.read(path, dtype="float32")[0] for path in paths]))
    with torch.inference_mode():
        log_mel = frontend(waveforms)
    statistics = torch.cat([log_mel.mean(-1), log_mel.std(-1)], dim=1).double().numpy()
    level = 10 * waveforms.square().mean(-1).log10().numpy()
    train = np.array([clip.split == "train" for clip in clips])
    labels = np.array([clip.label for clip in clips])[~train]
    domains = np.array([clip.domain for clip in clips])[~train]
    statistics = (statistics - statistics[train].mean(0)) / statistics[train].std(0)
    distances = LedoitWolf().fit(statistics[train]).mahalanobis(statistics[~train])
    unusual_level = np.abs(level[~train] - level[train].mean())

    def auc(scores: np.ndarray, domain: str = "") -> float:
        keep = (labels == 1) | (domains == domain) | (domain == "")
        return float(roc_auc_score(labels[keep], scores[keep]))

    return auc(unusual_level), auc(distances), auc(distances, "source"), auc(distances, "target")


def test_a_full_disk_is_told_as_such(few: None, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            generate_demo(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.rglob("*.wav")) == []
