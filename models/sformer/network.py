"""SFormer: tokens of a window, stages of selective blocks, and the classes of the window's pixel.

b is the batch, c the components of the scene (bands, or principal components), s the side of a window, C the channels,
k the classes.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from models.sformer.architecture import Architecture
from models.sformer.kernel_selective import KernelSelectiveBlock
from models.sformer.token_selective import ChannelNorm, TokenSelectiveBlock


class Stem(nn.Module):
    """Windows to tokens: a 3 x 3 convolution, then one of a patch for each token.

    Nothing lies between the two, so they are applied as the one convolution that they amount to, with a third of the
    work. Both pad (or do not) so that this holds at the border too.
    """

    def __init__(self, components: int, channels: int, patch: int) -> None:
        super().__init__()
        self.local = nn.Conv2d(components, channels, 3, padding=1)
        self.embed = nn.Conv2d(channels, channels, patch, stride=patch)
        self.norm = ChannelNorm(channels)

    def forward(self, windows: Tensor) -> Tensor:
        """(b, c, s, s) to (b, C, h, w)."""
        kernel, bias = self.joined()
        tokens: Tensor = self.norm(functional.conv2d(windows, kernel, bias, stride=self.embed.stride, padding=1))
        return tokens

    def joined(self) -> tuple[Tensor, Tensor]:
        """The kernel (C, c, patch + 2, patch + 2) and bias (C,) of both convolutions together."""
        local, embed = self.local, self.embed
        assert local.bias is not None and embed.bias is not None
        kernel = functional.conv_transpose2d(embed.weight, local.weight)
        return kernel, embed.bias + embed.weight.sum(dim=(2, 3)) @ local.bias


class SFormer(nn.Module):
    """The whole network.

    Args:
        architecture: what it is made of.
        components: c of the windows.
        classes: k.
    """

    def __init__(self, architecture: Architecture, *, components: int, classes: int) -> None:
        super().__init__()
        self.architecture, self.components = architecture, components
        self.stem = Stem(components, architecture.channels, architecture.patch)
        kernel_blocks = 1 if architecture.share_kernel_block else architecture.stages
        self.kernel_blocks = nn.ModuleList(KernelSelectiveBlock(architecture) for _ in range(kernel_blocks))
        self.token_blocks = nn.ModuleList(TokenSelectiveBlock(architecture) for _ in range(architecture.depth))
        self.norm = nn.LayerNorm(architecture.channels)
        self.head = nn.Linear(architecture.channels, classes)

    def forward(self, windows: Tensor) -> Tensor:
        """Windows (b, c, s, s) float32 to logits (b, k)."""
        return self.classify(self.stem(windows))

    def classify(self, tokens: Tensor) -> Tensor:
        """Tokens (b, C, h, w) of the stem to logits (b, k)."""
        each = self.architecture.depth // self.architecture.stages
        for index, block in enumerate(self.token_blocks):
            if index % each == 0:
                tokens = self.kernel_blocks[index // each % len(self.kernel_blocks)](tokens)
            tokens = block(tokens)
        logits: Tensor = self.head(self.norm(tokens.mean(dim=(2, 3))))
        return logits
