"""Networks, losses and optimisers. A new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asdcli.nn import optimizers, schedules
from asdcli.nn.cnn_layers import CnnLayers
from asdcli.nn.dense_autoencoder import DenseAutoencoder
from asdcli.nn.mobilefacenet import MobileFaceNet
from asdcli.nn.mobilenet_autoencoder import MobileNetV2Autoencoder
from asdcli.nn.torchvision_nets import EfficientNetB0, MobileNetV2, ResNet50

BACKBONES: dict[str, Callable[..., Any]] = {
    "dense_autoencoder": DenseAutoencoder,
    "mobilenetv2_autoencoder": MobileNetV2Autoencoder,
    "mobilefacenet": MobileFaceNet,
    "resnet50": ResNet50,
    "efficientnet_b0": EfficientNetB0,
    "cnn_layers": CnnLayers,
    "mobilenet_v2": MobileNetV2,
}

OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "adam": optimizers.adam,
    "adamw": optimizers.adamw,
    "sgd": optimizers.sgd,
}

SCHEDULES: dict[str, Callable[..., Any]] = {"constant": schedules.constant, "cosine": schedules.cosine}
