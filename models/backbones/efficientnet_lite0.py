"""EfficientNet-Lite0: ReLU6, no squeeze-excite, TensorFlow's SAME padding. Parameter names as in lukemelas' port."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# expansion, kernel, stride, channels in, channels out: one line per stage, a row per block
_BLOCKS = (
    *((1, 3, 1, 32, 16),),
    *((6, 3, 2, 16, 24), (6, 3, 1, 24, 24)),
    *((6, 5, 2, 24, 40), (6, 5, 1, 40, 40)),
    *((6, 3, 2, 40, 80), (6, 3, 1, 80, 80), (6, 3, 1, 80, 80)),
    *((6, 5, 1, 80, 112), (6, 5, 1, 112, 112), (6, 5, 1, 112, 112)),
    *((6, 5, 2, 112, 192), (6, 5, 1, 192, 192), (6, 5, 1, 192, 192), (6, 5, 1, 192, 192)),
    *((6, 3, 1, 192, 320),),
)


class EfficientNetLite0(nn.Module):
    """The network without its head."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(3, 32, 3, 2)
        self._bn0 = _norm(32)
        self._blocks = nn.ModuleList(InvertedResidual(*block) for block in _BLOCKS)

    def stages(self) -> dict[str, nn.Sequential]:
        """The network in consecutive parts, by the stride of what they give."""
        blocks = list(self._blocks)
        return {
            "stride4": nn.Sequential(self._conv_stem, self._bn0, nn.ReLU6(), *blocks[:3]),
            "stride8": nn.Sequential(*blocks[3:5]),
            "stride16": nn.Sequential(*blocks[5:11]),
            "stride32": nn.Sequential(*blocks[11:15]),
        }


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise k x k, project 1x1; adds its input where the shapes agree."""

    def __init__(self, expansion: int, kernel: int, stride: int, inputs: int, outputs: int) -> None:
        super().__init__()
        middle = inputs * expansion
        if expansion != 1:
            self._expand_conv = SameConv2d(inputs, middle, 1)
            self._bn0 = _norm(middle)
        self._depthwise_conv = SameConv2d(middle, middle, kernel, stride, groups=middle)
        self._bn1 = _norm(middle)
        self._project_conv = SameConv2d(middle, outputs, 1)
        self._bn2 = _norm(outputs)
        self._expands = expansion != 1
        self._adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(b, inputs, h, w) to (b, outputs, h / stride, w / stride)."""
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self._expands else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        z: Tensor = self._bn2(self._project_conv(y))
        return x + z if self._adds else z


class SameConv2d(nn.Conv2d):
    """A convolution without bias that pads as TensorFlow does: the odd row and column at the bottom and right."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        # With stride 1 both paddings are the same and the convolution can do it by itself.
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(b, inputs, h, w) to (b, outputs, ceil(h / stride), ceil(w / stride))."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        if stride > 1:
            down, right = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[-2:])
            x = functional.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))
        result: Tensor = torch.conv2d(x, self.weight, None, self.stride, self.padding, 1, self.groups)
        return result


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)
