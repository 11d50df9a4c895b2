"""MobileNetV3-Large. Parameter names as in torchvision."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

# channels in, kernel, channels between, channels out, squeeze-excite, hard-swish, stride
_BLOCKS = (
    (16, 3, 16, 16, False, False, 1),
    (16, 3, 64, 24, False, False, 2),
    (24, 3, 72, 24, False, False, 1),
    (24, 5, 72, 40, True, False, 2),
    (40, 5, 120, 40, True, False, 1),
    (40, 5, 120, 40, True, False, 1),
    (40, 3, 240, 80, False, True, 2),
    (80, 3, 200, 80, False, True, 1),
    (80, 3, 184, 80, False, True, 1),
    (80, 3, 184, 80, False, True, 1),
    (80, 3, 480, 112, True, True, 1),
    (112, 3, 672, 112, True, True, 1),
    (112, 5, 672, 160, True, True, 2),
    (160, 5, 960, 160, True, True, 1),
    (160, 5, 960, 160, True, True, 1),
)


class MobileNetV3Large(nn.Module):
    """The network without its head."""

    def __init__(self) -> None:
        super().__init__()
        stem = _convolution(3, 16, 3, stride=2, activation=nn.Hardswish())
        last = _convolution(160, 960, 1, activation=nn.Hardswish())
        self.features = nn.Sequential(stem, *(InvertedResidual(*block) for block in _BLOCKS), last)

    def stages(self) -> dict[str, nn.Sequential]:
        """The network in consecutive parts, by the stride of what they give."""
        parts = list(self.features)
        return {
            "stride4": nn.Sequential(*parts[:4]),
            "stride8": nn.Sequential(*parts[4:7]),
            "stride16": nn.Sequential(*parts[7:13]),
            "stride32": nn.Sequential(*parts[13:16]),
        }


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise k x k, squeeze-excite, project 1x1; adds its input where the shapes agree."""

    def __init__(
        self, inputs: int, kernel: int, middle: int, outputs: int, excite: bool, hard_swish: bool, stride: int
    ) -> None:
        super().__init__()
        activation = nn.Hardswish() if hard_swish else nn.ReLU()
        parts: list[nn.Module] = []
        if middle != inputs:
            parts.append(_convolution(inputs, middle, 1, activation=activation))
        parts.append(_convolution(middle, middle, kernel, stride=stride, groups=middle, activation=activation))
        if excite:
            parts.append(SqueezeExcitation(middle))
        parts.append(_convolution(middle, outputs, 1))
        self.block = nn.Sequential(*parts)
        self._adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(b, inputs, h, w) to (b, outputs, h / stride, w / stride)."""
        y: Tensor = self.block(x)
        return x + y if self._adds else y


class SqueezeExcitation(nn.Module):
    """Scales each channel by what all channels say on average."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = _multiple_of_8(channels // 4)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) to the same."""
        scale = functional.relu(self.fc1(functional.adaptive_avg_pool2d(x, 1)))
        return functional.hardsigmoid(self.fc2(scale)) * x


def _convolution(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1, activation: nn.Module | None = None
) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    parts: list[nn.Module] = [convolution, nn.BatchNorm2d(outputs, eps=1e-3)]
    return nn.Sequential(*parts, *([activation] if activation else []))


def _multiple_of_8(channels: int) -> int:
    rounded = max(8, (channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8
