"""An SFormer as it is exported."""

from __future__ import annotations

import copy

from models.sformer.network import SFormer
from models.sformer.selection import searched_softmax
from models.sformer.token_selective import TokenSelection


def exportable(network: SFormer) -> SFormer:
    """A copy in evaluation mode that selects its tokens without a sort, in operations that every runtime does well."""
    graph = copy.deepcopy(network).eval()
    for block in graph.token_blocks:
        attention = block.attention
        assert isinstance(attention, TokenSelection)
        attention.select = searched_softmax
    return graph
