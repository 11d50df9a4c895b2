"""SFormer against its literal form (3-D convolutions, `torch.topk`), and as ONNX against torch.

Seconds are CPU seconds of one thread, the two sides in turns: against the literal form for a batch of 64 windows, of
ONNX against torch for a part of a scene, of which each takes as many windows at once as its own runner finds fastest.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from benchmarks.result import Result
from benchmarks.sformer_literal import literal
from edge_client.compile.network import export_network
from edge_client.compiled.classifier import CompiledClassifier
from models.hsi import strips
from models.sformer.architecture import PRESETS, Architecture
from models.sformer.graph import exportable
from models.sformer.network import SFormer
from models.wsa.inference import logits

_REPEATS, _WARM_UP = 8, 2
_WINDOWS = 64
_SCENE = 16  # rows and columns


def run() -> list[Result]:
    """CPU seconds of each side."""
    torch.set_num_threads(1)
    os.environ["EDGEFED_THREADS"] = "1"  # of ONNX Runtime
    with threadpool_limits(1):
        return [result for name, architecture in PRESETS.items() for result in _results(name, architecture)]


def _results(name: str, architecture: Architecture) -> list[Result]:
    torch.manual_seed(0)
    network = SFormer(architecture, components=30, classes=16)
    peer = literal(network)
    windows = torch.randn(_WINDOWS, 30, architecture.window, architecture.window)
    labels = torch.randint(16, (_WINDOWS,))
    trained = _in_turns(lambda: _step(network, windows, labels), lambda: _step(peer, windows, labels))
    network.eval(), peer.eval()
    inferred = _in_turns(lambda: _infer(network, windows), lambda: _infer(peer, windows))
    form = "the literal form: 3-D convolutions and torch.topk"
    return [
        _result(f"{name}_training", form, trained, 1 / 2.5),
        _result(f"{name}_inference", form, inferred, 1 / 2.5),
        _result(f"{name}_onnx", "torch eager with the fast selection", _compiled(network), 1.0),
    ]


def _compiled(network: SFormer) -> tuple[list[float], list[float]]:
    """Raises `RuntimeError` where the exported network does not tell the classes that torch tells."""
    side = network.architecture.window
    scene = np.random.default_rng(0).normal(size=(_SCENE + side - 1, _SCENE + side - 1, 30)).astype(np.float32)
    windows = strips.windows(scene, side).reshape(-1, 30, side, side)
    graph = export_network(exportable(network), (torch.zeros(1, 30, side, side),))
    compiled = CompiledClassifier(graph, (30, side, side), 16)
    agree = np.mean(compiled.logits(windows).argmax(axis=1) == logits(network, windows).argmax(axis=1))
    if agree < 0.99:
        raise RuntimeError(f"the exported network agrees with torch on {agree:.1%} of the windows only")
    return _in_turns(lambda: compiled.logits(windows), lambda: logits(network, windows))


def _result(name: str, peer: str, sides: tuple[list[float], list[float]], target: float) -> Result:
    return Result(name=f"sformer.{name}", unit="s", peer_name=peer, ours=sides[0], peer=sides[1], target=target)


def _step(network: nn.Module, windows: Tensor, labels: Tensor) -> None:
    network.zero_grad()
    torch.autograd.backward(nn.functional.cross_entropy(network(windows), labels))


def _infer(network: nn.Module, windows: Tensor) -> Tensor:
    with torch.inference_mode():
        found: Tensor = network(windows)
    return found


def _in_turns(ours: Callable[[], object], peer: Callable[[], object]) -> tuple[list[float], list[float]]:
    pairs = [(_seconds(ours), _seconds(peer)) for _ in range(_WARM_UP + _REPEATS)][_WARM_UP:]
    first, second = zip(*pairs, strict=True)
    return list(first), list(second)


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
