"""The encoder of EPFL's DCASE 2022 system: MobileNetV2 up to its last bottleneck, then an end of its own."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from asdcli.nn.recompute import recomputed

CHANNELS = 320


class MobileNetV2Encoder(nn.Module):
    """Windows `[batch, mels, frames]` to embeddings `[batch, 320]` (Table 1 of the report).

    The window stands in for an image of three equal colours. torchvision's MobileNetV2 of width 0.5 as far as its 160
    channels, a 1 x 1 convolution to 320, one over all that is left of frequency and time (4 x 2 of 128 x 64), and a
    last 1 x 1 convolution. The report leaves open what follows the last three: here batch norm and ReLU6 after the
    first two, as in the rest of the network, and nothing but a bias after the last one. 1,454,720 parameters; 638,080
    with the other reading of the 4 x 2 convolution, `depthwise`.

    Args:
        input_shape: `(mels, frames)` of one window.
        width: multiplier of the channels of MobileNetV2.
        closing: the convolution over the rest of frequency and time, over all channels or each alone.
        recompute: blocks keep their input only and are computed again in the backward pass, for batches that do not
            fit otherwise; slower by a third.
    """

    def __init__(
        self,
        input_shape: tuple[int, int],
        *,
        width: float = 0.5,
        closing: Literal["full", "depthwise"] = "full",
        recompute: bool = False,
    ) -> None:
        from torchvision.models import mobilenet_v2

        super().__init__()
        self.blocks = mobilenet_v2(weights=None, width_mult=width).features[:-1]
        inputs = self.blocks[-1].out_channels
        left = tuple(-(-size // 32) for size in input_shape)
        self.head = nn.Sequential(
            *_conv(inputs, 1),
            *_conv(CHANNELS, left, groups=CHANNELS if closing == "depthwise" else 1),
            nn.Conv2d(CHANNELS, CHANNELS, 1),
            nn.Flatten(),
        )
        self.recompute = recompute
        self.embedding_size = CHANNELS

    def forward(self, x: Tensor) -> Tensor:
        x = x.unsqueeze(1).expand(-1, 3, -1, -1)
        for block in (*self.blocks, self.head):
            x = recomputed(block, x) if self.recompute and self.training else block(x)
        return x


def _conv(inputs: int, kernel: int | tuple[int, ...], groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, CHANNELS, kernel, groups=groups, bias=False)  # type: ignore[arg-type]
    return [conv, nn.BatchNorm2d(CHANNELS), nn.ReLU6()]
