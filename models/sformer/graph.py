"""SFormer as it is exported."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn

from models.sformer.selection import searched_softmax
from models.sformer.token_selective import TokenSelection

Network = TypeVar("Network", bound=nn.Module)


def exportable(network: Network) -> Network:
    """A copy in evaluation mode that selects its tokens without a sort, in operations that every runtime does well.

    Of any other network it is a copy in evaluation mode.
    """
    graph = copy.deepcopy(network).eval()
    for part in graph.modules():
        if isinstance(part, TokenSelection):
            part.select = searched_softmax
    return graph
