"""Front ends: torch modules from waveforms `[B, N]` (float, -1 to 1) to features `[B, F, T]`.

A new front end is one file here and one line below. Its constructor's keyword arguments are the keys that a recipe may
give; it has `n_features` (F) and `frames(n_samples)` (T), and raises ValueError for impossible settings.
"""

from __future__ import annotations

from torch import nn

from asdcli.audio.frontends.kaldi_fbank import KaldiFbank
from asdcli.audio.frontends.logmel import LogMel
from asdcli.audio.frontends.stft import Stft
from asdcli.audio.frontends.waveform import Waveform

FRONTENDS: dict[str, type[nn.Module]] = {
    "logmel": LogMel,
    "stft": Stft,
    "kaldi_fbank": KaldiFbank,
    "waveform": Waveform,
}
