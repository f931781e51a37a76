"""Maps of clips through the real pipeline: a planted fault is found where it was planted."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from helpers import RATE, machine_sound, write_clip
from scipy.signal import butter, sosfilt

from asdcli.audio.demo import generate_demo, writer
from asdcli.audio.demo.plan import Clip, plan
from asdcli.audio.frontends import KaldiFbank, LogMel
from asdcli.challenge.editions.scorefiles import read_values
from asdcli.errors import UserError
from asdcli.recipe.loading import RECIPES
from asdcli.stages import score
from asdcli.stages.looking import anomaly_map
from asdcli.stages.looking.anomaly_map import ClipMap, Found, _centres_hz
from asdcli.stages.selection import Selection, select
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace

BURST_S = 0.3
LOUDER_DB = 12.0
NORMAL = "section_00_source_test_normal_0000_spd_28_load_2_bkg_A.wav"


@dataclass(frozen=True)
class Place:
    """A band and the time at which a burst begins."""

    low_hz: float
    high_hz: float
    begin_s: float

    def holds(self, hz: float, seconds: float) -> bool:
        return self.low_hz <= hz <= self.high_hz and self.begin_s <= seconds <= self.begin_s + BURST_S

    @property
    def name(self) -> str:
        return f"section_00_source_test_anomaly_{self.low_hz:04.0f}.wav"


PLACES = (Place(2000, 3000, 0.4), Place(500, 900, 1.1), Place(4000, 6000, 0.3), Place(1200, 1800, 1.0))


def with_burst(clip: np.ndarray, place: Place) -> np.ndarray:
    """The clip with noise in the band, for 0.3 s, 12 dB above what the clip has there itself."""
    band = butter(6, [place.low_hz, place.high_hz], "bandpass", fs=RATE, output="sos")
    noise = sosfilt(band, np.random.default_rng(0).standard_normal(len(clip)))
    level = sosfilt(band, clip).std() / noise.std() * 10 ** (LOUDER_DB / 20)
    seconds = np.arange(len(clip)) / RATE
    return clip + level * noise * ((seconds >= place.begin_s) & (seconds < place.begin_s + BURST_S))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's bearing in good order, and one of its test clips again with bursts planted into it."""
    root = tmp_path_factory.mktemp("planted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "plan", lambda seed: [clip for clip in plan(seed) if wanted(clip)])
        generate_demo(root)
    folder = root / "data" / "demo" / "dev_data" / "raw" / "SynBearing" / "test"
    clip, _ = soundfile.read(folder / NORMAL)
    for place in PLACES:
        write_clip(folder / place.name, with_burst(clip, place))
    return root


def wanted(clip: Clip) -> bool:
    return clip.rig.machine == "SynBearing" and (clip.split == "train" or clip.name == NORMAL)


def padim(root: Path, **chosen: object) -> Selection:
    options: dict[str, object] = {"recipe": "padim", "members": ["random"], "device": "cpu"}
    return select(Workspace(root), Ui(), **{**options, **chosen})  # type: ignore[arg-type]


def centre(found: ClipMap) -> tuple[float, float]:
    """Frequency and time of the centre of mass of what stands out of the map by more than half of its height."""
    above = found.distances - np.median(found.distances)
    above[above < above.max() / 2] = 0
    band = np.average(np.arange(len(above)), weights=above.sum(1)) * found.axes.stride
    time = np.average(np.arange(above.shape[1]), weights=above.sum(0)) * found.axes.stride * found.axes.frame_s
    return float(np.interp(band, np.arange(len(found.axes.hz)), found.axes.hz)), float(time)


def test_the_map_of_a_planted_fault_points_at_its_band_and_time(root: Path) -> None:
    normal, *planted = anomaly_map.run(padim(root), [NORMAL, *(place.name for place in PLACES)])
    assert not normal.anomalous
    assert not any(place.holds(*centre(normal)) for place in PLACES)
    for place, found in zip(PLACES, planted, strict=True):
        assert found.anomalous
        assert place.holds(*centre(found))
        assert [other for other in PLACES if other.holds(*centre(found))] == [place]
        below, above = (Place(0.9 * place.low_hz, 1.1 * place.high_hz, place.begin_s + late) for late in (-0.13, 0.13))
        assert below.holds(*found.peak) or above.holds(*found.peak)  # the largest distance is half a cell away at most


def test_scores_and_decisions_are_those_of_the_score_files(root: Path) -> None:
    selection = padim(root)
    maps = anomaly_map.run(selection, [place.name for place in PLACES], "per_position_mean")
    score.run(selection)
    folder = score.score_folder(selection, "random", "per_position_mean")
    for kind, values in (
        ("anomaly_score", [found.score for found in maps]),
        ("decision_result", [float(found.anomalous) for found in maps]),
    ):
        names, written = read_values(folder / "dev" / f"{kind}_SynBearing_section_00_test.csv")
        assert [written[names.index(place.name)] for place in PLACES] == pytest.approx(values)


def test_a_training_clip_is_compared_with_the_others(root: Path) -> None:
    selection = padim(root)
    name = sorted((root / "data/demo/dev_data/raw/SynBearing/train").iterdir())[3].name
    (found,) = anomaly_map.run(selection, [name])
    score.run(selection)
    folder = score.score_folder(selection, "random", "per_position")
    names, written = read_values(folder / "train" / "anomaly_score_SynBearing_section_00_test.csv")
    assert found.score == pytest.approx(written[names.index(name)])
    assert found.distances.max() == found.score


def test_maps_have_the_axes_of_the_clip(root: Path) -> None:
    (found,) = anomaly_map.run(padim(root), [NORMAL], "per_band_mean")
    assert found.clip == Found("dev", f"SynBearing/test/{NORMAL}")
    assert (found.member, found.detector, found.frontend) == ("random", "per_band_mean", "logmel")
    clip, _ = soundfile.read(root / "data/demo/dev_data/raw" / found.clip.path)
    frames = 1 + len(clip) // 512
    assert found.features.shape == (128, frames)
    assert found.distances.shape == (16, -(-frames // 8))
    assert (found.axes.frame_s, found.axes.stride) == (0.032, 8)
    assert found.score == pytest.approx(found.distances.mean())


# --- axes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frontend", [LogMel(), LogMel(n_mels=64, mel_scale="htk"), KaldiFbank()])
def test_the_centre_of_a_band_is_where_a_tone_excites_it_most(frontend: LogMel | KaldiFbank) -> None:
    hz = _centres_hz(frontend.bank.double().numpy())
    assert (np.diff(hz) >= 0).all()
    seconds = torch.arange(RATE, dtype=torch.float64) / RATE
    for band in (30, 50):
        tone = torch.sin(2 * torch.pi * hz[band] * seconds).float()[None]
        assert frontend(tone)[0].mean(1).argmax() == band


def test_a_band_too_narrow_for_the_spectrum_lies_between_its_neighbours() -> None:
    bank = LogMel(n_fft=256, n_mels=128).bank.double().numpy()
    assert (bank.sum(1) == 0).any()
    hz = _centres_hz(bank)
    assert np.isfinite(hz).all()
    assert (np.diff(hz) >= 0).all()


# --- which clip, which detector -------------------------------------------------------------------------------------


def test_clips_go_by_name_by_path_and_by_file(tree: Path) -> None:
    selection = padim(tree)
    path = "SynFan/test/section_01_source_test_normal_0002_spd_1.wav"
    file = tree / "data" / "demo" / "dev_data" / "raw" / path
    found = anomaly_map.find(selection, [path, path.split("/")[-1], f"./{path}", str(file)])
    assert found == [Found("dev", path)] * 4


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (
            "section_00_source_test_normal_0009_spd_1.wav",
            r"No clip of demo is called .* Did you mean 'section_00_source",
        ),
        ("train/section_00_0000.wav", "No clip of demo is called 'train/section_00_0000.wav'"),
        ("", "No clip of demo is called ''"),
    ],
)
def test_an_unknown_clip_is_the_users_error(tree: Path, wanted: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        anomaly_map.find(padim(tree), [wanted])


def test_a_name_of_several_clips_is_the_users_error(tree: Path) -> None:
    raw = tree / "data" / "demo" / "dev_data" / "raw"
    name = "section_00_source_test_normal_0000_spd_7.wav"
    for machine in ("SynFan", "SynBearing"):
        write_clip(raw / machine / "test" / name, machine_sound(1, 100))
    with pytest.raises(UserError, match=rf"'{name}' names 2 clips of demo: SynBearing/test/{name} \(dev\), SynFan/"):
        anomaly_map.find(padim(tree), [name])
    assert anomaly_map.find(padim(tree), [f"SynFan/test/{name}"])[0].machine == "SynFan"
    assert anomaly_map.find(padim(tree, machines=["SynFan"]), [name])[0].machine == "SynFan"


@pytest.mark.parametrize(
    ("recipe", "detector", "says"),
    [
        ("baseline_ae", None, "No detector of recipe baseline_ae can say where"),
        ("baseline_ae", "mse", "Detector mse cannot say where"),
        ("padim", "per_bnd_mean", "Unknown detector of recipe padim 'per_bnd_mean'. Did you mean 'per_band_mean'?"),
    ],
)
def test_who_cannot_say_where_says_so_before_any_work(tree: Path, recipe: str, detector: str | None, says: str) -> None:
    with pytest.raises(UserError) as raised:
        anomaly_map.run(padim(tree, recipe=recipe, members=None), ["any.wav"], detector)
    assert says in str(raised.value)
    assert not (tree / "runs").exists()


def test_domain_wise_scores_have_no_map(tree: Path, tmp_path: Path) -> None:
    shutil.copytree(RECIPES / "padim", tmp_path / "wise")
    path = tmp_path / "wise" / "recipe.yaml"
    text = path.read_text()
    assert "  per_position: {" in text
    path.write_text(text.replace("  per_position: {", "  per_position: {domain_wise: true, "))
    chosen = padim(tree, recipe=str(tmp_path / "wise"))
    with pytest.raises(UserError, match="Detector per_position cannot say where"):
        anomaly_map.run(chosen, ["any.wav"], "per_position")


def test_pooled_times_have_no_map(tree: Path, tmp_path: Path) -> None:
    path = shutil.copytree(RECIPES / "padim", tmp_path / "pooled") / "recipe.yaml"
    path.write_text(path.read_text().replace("\nphases:", "\npooling: mean\nphases:"))
    with pytest.raises(UserError, match="No detector of recipe pooled can say where"):
        anomaly_map.run(padim(tree, recipe=str(path.parent)), ["any.wav"], None)
