"""Masked autoencoders: both branches learn from cubes without labels. Their encoders attend to all tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.hypersigma.block import NORM_EPS, full_blocks
from models.hypersigma.sizes import Size, Window
from models.hypersigma.spatial import Doubling, PatchEmbedding
from models.hypersigma.unused import carry

MASKED = 0.75
"""Share of tokens that the encoder does not see."""

_WIDTH, _DEPTH, _HEADS = 512, 8, 16


class Decoder(nn.Module):
    """The parts of an autoencoder behind its encoder; they are not needed after pre-training.

    The names are those of the official files, where they lie beside the encoder's.

    Args:
        width: E of the encoder.
        tokens: N, of a whole cube.
        values: V, what a token stands for.
    """

    def __init__(self, width: int, tokens: int, values: int) -> None:
        super().__init__()
        self.mask_token = nn.Parameter(torch.empty(1, 1, _WIDTH))
        self.decoder_pos_embed = nn.Parameter(torch.empty(1, tokens, _WIDTH))
        self.decoder_embed = nn.Linear(width, _WIDTH)
        self.decoder_blocks = full_blocks(_WIDTH, _HEADS, _DEPTH)
        self.decoder_norm = nn.LayerNorm(_WIDTH, eps=NORM_EPS)
        self.decoder_pred = nn.Linear(_WIDTH, values)

    def reset_parameters(self) -> None:
        """Draws what belongs to no layer."""
        nn.init.trunc_normal_(self.mask_token, std=0.02)
        nn.init.trunc_normal_(self.decoder_pos_embed, std=0.02)

    def decode(self, visible: Tensor, order: Tensor) -> Tensor:
        """Visible tokens (b, n, E) and the places (b, N) of visible, then masked tokens, to all values (b, N, V)."""
        seen = self.decoder_embed(visible)
        hidden = self.mask_token.expand(seen.shape[0], order.shape[1] - seen.shape[1], -1)
        places = order.argsort(dim=1)[:, :, None].expand(-1, -1, _WIDTH)
        tokens = torch.cat([seen, hidden.to(seen.dtype)], dim=1).gather(1, places) + self.decoder_pos_embed
        for block in self.decoder_blocks:
            tokens = block(tokens)
        values: Tensor = self.decoder_pred(self.decoder_norm(tokens))
        return values


class MaskedAutoencoder(Decoder):
    """Hides most tokens of a cube and predicts their values; a subclass says what a token is.

    Args:
        size: of the encoder.
        window: the cubes.
        tokens: N.
        values: V.
    """

    def __init__(self, size: Size, window: Window, tokens: int, values: int) -> None:
        super().__init__(size.width, tokens, values)
        self.window, self._tokens = window, tokens
        self.blocks = full_blocks(size.width, size.heads, size.depth)
        self.norm = nn.LayerNorm(size.width, eps=NORM_EPS)

    def embed(self, cube: Tensor) -> Tensor:
        """(b, C, h, w) to tokens (b, N, E)."""
        raise NotImplementedError

    def targets(self, cube: Tensor) -> Tensor:
        """(b, C, h, w) to what the tokens stand for, (b, N, V)."""
        raise NotImplementedError

    def forward(self, cube: Tensor, order: Tensor) -> Tensor:
        """The mean squared error over masked tokens, ().

        Args:
            cube: (b, C, h, w).
            order: (b, N) int64, a permutation of the tokens for each cube; the first quarter is seen.

        Raises:
            ValueError: the cube is not of the window.
        """
        self.window.check(cube.shape)
        tokens = self.embed(cube)
        kept = order[:, : int(self._tokens * (1 - MASKED))]
        visible = tokens.gather(1, kept[:, :, None].expand(-1, -1, tokens.shape[2]))
        for block in self.blocks:
            visible = block(visible)
        error = (self.decode(self.norm(visible), order) - self.targets(cube)).square().mean(2)
        masked = torch.ones_like(error).scatter(1, kept, 0.0)
        return (error * masked).sum() / masked.sum()

    def shuffled(self, batch: int, generator: torch.Generator) -> Tensor:
        """Random orders (batch, N) for `forward`."""
        return torch.rand(batch, self._tokens, generator=generator).argsort(dim=1)


class SpatialAutoencoder(MaskedAutoencoder):
    """A token is a patch of pixels; its values are its bands, pixel by pixel.

    Args:
        size: of the encoder.
        window: the cubes.
        complete: whether to carry what the official files have and pre-training does not use.
    """

    def __init__(self, size: Size, window: Window, *, complete: bool = False) -> None:
        rows, columns = window.grid
        super().__init__(size, window, rows * columns, window.patch**2 * window.bands)
        self.patch_embed = PatchEmbedding(window.bands, size.width, window.patch)
        if complete:
            carry(self, {"pos_embed": (1, rows * columns, size.width)})
            self.fpn1 = Doubling(size.width).requires_grad_(False)

    def embed(self, cube: Tensor) -> Tensor:
        """(b, C, h, w) to tokens (b, N, E)."""
        return self.patch_embed(cube)  # type: ignore[no-any-return]

    def targets(self, cube: Tensor) -> Tensor:
        """(b, C, h, w) to (b, N, p * p * C), the bands of a pixel together."""
        patch, (rows, columns) = self.window.patch, self.window.grid
        cut = cube[:, :, : rows * patch, : columns * patch]
        patches = cut.reshape(*cube.shape[:2], rows, patch, columns, patch)
        return patches.permute(0, 2, 4, 3, 5, 1).reshape(cube.shape[0], rows * columns, -1)


class SpectralAutoencoder(MaskedAutoencoder):
    """A token is the image of one band; its values are the band's pixels.

    Args:
        size: of the encoder.
        window: the cubes.
        complete: whether to carry what the official files have and pre-training does not use.
    """

    def __init__(self, size: Size, window: Window, *, complete: bool = False) -> None:
        super().__init__(size, window, window.bands, window.pixels)
        self.spat_map = nn.Linear(window.pixels, size.width)
        if complete:
            carry(self, {"pos_embed": (1, window.bands, size.width)})

    def embed(self, cube: Tensor) -> Tensor:
        """(b, C, h, w) to tokens (b, C, E)."""
        return self.spat_map(cube.flatten(2))  # type: ignore[no-any-return]

    def targets(self, cube: Tensor) -> Tensor:
        """(b, C, h, w) to (b, C, h * w)."""
        return cube.flatten(2)
