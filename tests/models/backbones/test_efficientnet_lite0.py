import torch
from torch.nn import functional

from models.backbones.efficientnet_lite0 import SameConv2d


def test_same_padding_puts_the_odd_row_and_column_at_the_bottom_and_right():
    convolution = SameConv2d(1, 1, 3, stride=2)
    x = torch.randn(1, 1, 8, 8)
    by_hand = functional.conv2d(functional.pad(x, (0, 1, 0, 1)), convolution.weight, stride=2)
    torch.testing.assert_close(convolution(x), by_hand)


def test_same_padding_is_symmetric_when_the_side_is_odd():
    convolution = SameConv2d(1, 1, 5, stride=2)
    x = torch.randn(1, 1, 9, 9)
    by_hand = functional.conv2d(x, convolution.weight, stride=2, padding=2)
    torch.testing.assert_close(convolution(x), by_hand)
