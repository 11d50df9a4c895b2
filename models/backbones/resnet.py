"""ResNet-18, ResNet-50 and Wide-ResNet-50-2. Parameter names as in torchvision."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class ResNet(nn.Module):
    """The network without its head.

    Args:
        depths: blocks in each of the four layers.
        bottleneck: whether a block is 1x1, 3x3, 1x1 with four times the channels, or 3x3, 3x3.
        widening: factor on the channels of a bottleneck's 3x3.
    """

    def __init__(self, depths: tuple[int, int, int, int], *, bottleneck: bool, widening: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        channels, layers = 64, []
        for index, depth in enumerate(depths):
            planes = 64 << index
            outputs = planes * (4 if bottleneck else 1)
            blocks = []
            for position in range(depth):
                stride = 2 if index > 0 and position == 0 else 1
                middle = planes * widening
                blocks.append((Bottleneck if bottleneck else BasicBlock)(channels, middle, outputs, stride))
                channels = outputs
            layers.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = layers

    def stages(self) -> dict[str, nn.Sequential]:
        """The network in consecutive parts, by the stride of what they give."""
        return {
            "stride4": nn.Sequential(self.conv1, self.bn1, nn.ReLU(), nn.MaxPool2d(3, 2, 1), self.layer1),
            "stride8": self.layer2,
            "stride16": self.layer3,
            "stride32": self.layer4,
        }


class BasicBlock(nn.Module):
    """3x3, 3x3, plus the input."""

    def __init__(self, inputs: int, middle: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, middle, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(b, inputs, h, w) to (b, outputs, h / stride, w / stride)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1, plus the input."""

    def __init__(self, inputs: int, middle: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, middle, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(b, inputs, h, w) to (b, outputs, h / stride, w / stride)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
