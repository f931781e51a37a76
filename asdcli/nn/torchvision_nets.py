"""ResNet-50 and EfficientNet-B0 for one-channel spectrograms: torchvision's networks with another stem and head."""

from __future__ import annotations

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
