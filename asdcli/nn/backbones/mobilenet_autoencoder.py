"""A convolutional auto-encoder with MobileNetV2 or EfficientNet-Lite0 as its encoder."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from asdcli.nn.pretrained import FindWeights, image_network, imagenet_name, imagenet_state

REDUCTION = 32  # of each side, by the five strides of either encoder and by the five of the decoder


class MobileNetV2Autoencoder(nn.Module):
    """MobileNetV2 (Sandler et al. 2018) down to a code, transposed convolutions back up.

    The network of the Zenn article on bearingEmu (2026), read in its author's code: torchvision's `features`,
    Linear 512, batch norm, ReLU, Linear `latent`; then Linear to 256 channels on the grid that the encoder ended on,
    batch norm, ReLU, and transposed convolutions (kernel 4, stride 2) of 256-128-64-32-16-1 channels with batch norm
    and ReLU after all but the last. 128 mel bins by 64 frames: a grid of 4 x 2, 8,499,537 parameters. (The article's
    adaptive pooling to 4 x 2 changes nothing there and is left out.) The one channel is shown to MobileNetV2 three
    times, without ImageNet's mean and deviation. EfficientNet-Lite0 ends on as many channels, 1280: 9,646,673
    parameters with it.

    Args:
        input_shape: `(frames, features)` of one example, multiples of 32.
        network: the encoder.
        weights: of the encoder: `random`, `imagenet`, or the path of a file of this network.
        latent: size of the code.
    """

    def __init__(
        self,
        input_shape: tuple[int, int],
        *,
        network: Literal["mobilenet_v2", "efficientnet_lite0"] = "mobilenet_v2",
        weights: str = "random",
        latent: int = 128,
    ) -> None:
        super().__init__()
        frames, features = input_shape
        if min(input_shape) < REDUCTION or frames % REDUCTION or features % REDUCTION:
            raise ValueError(
                f"frames and features must be multiples of {REDUCTION}, not {frames} frames of {features} features"
            )
        if latent < 1:
            raise ValueError(f"latent is a size and cannot be {latent}")
        self.network, self.weights = network, weights
        grid = (features // REDUCTION, frames // REDUCTION)
        cells = grid[0] * grid[1]
        self.encoder = nn.Sequential(
            image_network(network).get_submodule("features"),
            nn.Flatten(),
            nn.Linear(1280 * cells, 512),
            nn.BatchNorm1d(512),
            nn.ReLU(),
            nn.Linear(512, latent),
        )
        channels = [256, 128, 64, 32, 16]
        upward = [module for pair in pairwise(channels) for module in _up(*pair)]
        self.decoder = nn.Sequential(
            nn.Linear(latent, channels[0] * cells),
            nn.BatchNorm1d(channels[0] * cells),
            nn.ReLU(),
            nn.Unflatten(1, (channels[0], *grid)),
            *upward,
            nn.ConvTranspose2d(channels[-1], 1, 4, 2, 1),
        )

    @staticmethod
    def published_weights(*, network: str = "mobilenet_v2", weights: str = "random", **others: object) -> str:
        return imagenet_name(network, weights)

    def load_pretrained(self, find: FindWeights) -> None:
        """Put the named weights into the encoder; the rest starts at random."""
        if self.weights != "random":
            state = imagenet_state(self.network, self.weights, find)
            part = {name.removeprefix("features."): state[name] for name in state if name.startswith("features.")}
            self.encoder[0].load_state_dict(part)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction of `x`, `[batch, frames, features]`, in the same shape."""
        image = x.transpose(1, 2).unsqueeze(1).expand(-1, 3, -1, -1)  # [batch, 3, features, frames]
        return self.decoder(self.encoder(image)).squeeze(1).transpose(1, 2)


def _up(channels: int, out: int) -> list[nn.Module]:
    return [nn.ConvTranspose2d(channels, out, 4, 2, 1), nn.BatchNorm2d(out), nn.ReLU()]
