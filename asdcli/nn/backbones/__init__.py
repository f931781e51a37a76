"""Networks. A new one is one file here and one line below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asdcli.nn.backbones.beats import Beats
from asdcli.nn.backbones.cnn_layers import CnnLayers
from asdcli.nn.backbones.dense_autoencoder import DenseAutoencoder
from asdcli.nn.backbones.eat import Eat
from asdcli.nn.backbones.identity import Identity
from asdcli.nn.backbones.mobilefacenet import MobileFaceNet
from asdcli.nn.backbones.mobilenet_autoencoder import MobileNetV2Autoencoder
from asdcli.nn.backbones.mobilenet_encoder import MobileNetV2Encoder
from asdcli.nn.backbones.torchvision_nets import EfficientNetB0, MobileNetV2, ResNet50

BACKBONES: dict[str, Callable[..., Any]] = {
    "dense_autoencoder": DenseAutoencoder,
    "mobilenetv2_autoencoder": MobileNetV2Autoencoder,
    "mobilefacenet": MobileFaceNet,
    "resnet50": ResNet50,
    "efficientnet_b0": EfficientNetB0,
    "cnn_layers": CnnLayers,
    "mobilenet_v2": MobileNetV2,
    "mobilenet_v2_encoder": MobileNetV2Encoder,
    "identity": Identity,
    "beats": Beats,
    "eat": Eat,
}
