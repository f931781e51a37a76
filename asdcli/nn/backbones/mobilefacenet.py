"""MobileFaceNet: a small network of inverted bottlenecks for embeddings."""

from __future__ import annotations

import math

from torch import Tensor, nn

Stage = tuple[int, int, int, int]  # expansion, channels, repeats, stride of the first block


class MobileFaceNet(nn.Module):
    """Convolutions, inverted bottlenecks, one global depthwise convolution, an embedding (Chen et al. 2018).

    All convolutions are bias-free with batch norm; PReLU per channel follows all but the "linear" ones. A bottleneck
    adds its input where stride is 1 and the channels agree. The defaults are Table 1 of Zhou's DCASE 2021 report (whose
    six-repeat stage has stride 2, where the original has 1): 993,280 parameters for 1024 x 32, 985,088 for 512 x 32.
    With other stages this is the network of MobileAnoNet (2023, Table I) as well.

    Args:
        input_shape: `(features, frames)` of one example.
        stem: channels of the two first convolutions.
        stages: expansion, channels, repeats and first stride of each stage of bottlenecks.
        head: channels before the global depthwise convolution.
        embedding: size of the embedding; 0 leaves out the last 1 x 1 convolution, and the embedding has `head` values.
    """

    def __init__(
        self,
        input_shape: tuple[int, int],
        *,
        stem: int = 64,
        stages: list[Stage] = [(2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 2), (4, 128, 1, 2), (2, 128, 2, 1)],  # noqa: B006
        head: int = 512,
        embedding: int = 128,
    ) -> None:
        super().__init__()
        features, frames = (-(-size // 2) for size in input_shape)
        self.stem = nn.Sequential(*_conv(1, stem, 3, stride=2), *_conv(stem, stem, 3, groups=stem))
        self.stages = nn.Sequential()
        channels = stem
        for expansion, out, repeats, stride in stages:
            strides = [stride] + [1] * (repeats - 1)
            inputs = [channels] + [out] * (repeats - 1)
            self.stages.append(
                nn.Sequential(*(Bottleneck(c, out, expansion, s) for c, s in zip(inputs, strides, strict=True)))
            )
            channels, features, frames = out, -(-features // stride), -(-frames // stride)
        last = _conv(head, embedding, 1, linear=True) if embedding else []
        whole = _conv(head, head, (features, frames), groups=head, padding=0, linear=True)
        self.head = nn.Sequential(*_conv(channels, head, 1), *whole, *last, nn.Flatten())
        self.embedding_size = embedding or head
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.out_channels * math.prod(module.kernel_size)
                nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, features, frames]` to embeddings `[batch, embedding_size]`."""
        return self.head(self.stages(self.stem(x.unsqueeze(1))))


class Bottleneck(nn.Module):
    """1 x 1 expansion, 3 x 3 depthwise convolution, linear 1 x 1 projection (Sandler et al. 2018, with PReLU)."""

    def __init__(self, channels: int, out: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.layers = nn.Sequential(
            *_conv(channels, wide, 1),
            *_conv(wide, wide, 3, stride=stride, groups=wide),
            *_conv(wide, out, 1, linear=True),
        )
        self.residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


def _conv(
    channels: int,
    out: int,
    kernel: int | tuple[int, int],
    stride: int = 1,
    groups: int = 1,
    padding: int | None = None,
    linear: bool = False,
) -> list[nn.Module]:
    """Convolution, batch norm, and PReLU unless it is a linear one."""
    if padding is None:
        padding = 1 if kernel == 3 else 0
    conv = nn.Conv2d(channels, out, kernel, stride, padding, groups=groups, bias=False)
    activation = [] if linear else [nn.PReLU(out)]
    return [conv, nn.BatchNorm2d(out), *activation]
