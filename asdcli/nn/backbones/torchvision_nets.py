"""Image networks of torchvision for one-channel spectrograms: ResNet-50, EfficientNet-B0 and MobileNetV2."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn


class ResNet50(nn.Module):
    """ResNet-50 (He et al. 2016) from scratch, one input channel, a linear embedding: 23,764,032 parameters."""

    def __init__(self, input_shape: tuple[int, int], *, embedding: int = 128) -> None:
        from torchvision.models import resnet50

        super().__init__()
        self.network = resnet50(weights=None)
        self.network.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
        self.network.fc = nn.Linear(self.network.fc.in_features, embedding)
        self.embedding_size = embedding

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, features, frames]` to embeddings `[batch, embedding]`."""
        return self.network(x.unsqueeze(1))


class EfficientNetB0(nn.Module):
    """EfficientNet-B0 (Tan & Le 2019) from scratch, one input channel, a linear embedding: 4,170,940 parameters."""

    def __init__(self, input_shape: tuple[int, int], *, embedding: int = 128) -> None:
        from torchvision.models import efficientnet_b0

        super().__init__()
        self.network = efficientnet_b0(weights=None)
        self.network.features[0][0] = nn.Conv2d(1, 32, 3, 2, 1, bias=False)
        self.network.classifier = nn.Linear(self.network.classifier[1].in_features, embedding)
        self.embedding_size = embedding

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, features, frames]` to embeddings `[batch, embedding]`."""
        return self.network(x.unsqueeze(1))


class MobileNetV2(nn.Module):
    """MobileNetV2 (Sandler et al. 2018) from scratch, without its classifier: the 1280 pooled features.

    As the baselines of DCASE 2021 and 2022 have it from Keras: half width, the image in each of the three input
    channels, Glorot's initial weights; 687,680 parameters. (Keras pads before its strided convolutions, torchvision on
    both sides. For sides that halve evenly, as 64 and 128 do, that is the same network on the mirrored image.)

    Args:
        input_shape: shape of one example; either order of frames and features.
        width: multiplier of all channel numbers but the last.
        norm_momentum, norm_eps: of the batch norms; 0.001 and 1e-3 are this network's 0.999 and 1e-3 of Keras.
    """

    embedding_size = 1280

    def __init__(
        self,
        input_shape: tuple[int, int],
        *,
        width: float = 0.5,
        norm_momentum: float = 0.001,
        norm_eps: float = 1e-3,
    ) -> None:
        from torchvision.models import mobilenet_v2

        super().__init__()
        if not 0 < width <= 1:
            raise ValueError(f"width is a share above 0 and up to 1, not {width}")
        norm = partial(nn.BatchNorm2d, momentum=norm_momentum, eps=norm_eps)
        self.features = mobilenet_v2(weights=None, width_mult=width, norm_layer=norm).features
        for module in self.features.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, frames, features]` to embeddings `[batch, 1280]`."""
        return self.features(x.unsqueeze(1).expand(-1, 3, -1, -1)).mean((2, 3))
