"""SFormer against its literal form (3-D convolutions, `torch.topk`), and as ONNX against torch.

Seconds are CPU seconds of one thread for a batch of 64 windows where no other is named, the two sides in turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import onnxruntime
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from benchmarks.result import Result
from benchmarks.sformer_literal import literal
from edge_client.compile.network import export_network
from edge_client.compiled.onnxruntime import CPU
from models.sformer.architecture import PRESETS, Architecture
from models.sformer.graph import exportable
from models.sformer.network import SFormer

_REPEATS, _WARM_UP = 8, 2
_WINDOWS = 64


def run() -> list[Result]:
    """CPU seconds of each side."""
    torch.set_num_threads(1)
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
    session = _session(network, windows)
    form = "the literal form: 3-D convolutions and torch.topk"
    return [
        _result(f"{name}_training", form, trained, 1 / 2.5),
        _result(f"{name}_inference", form, inferred, 1 / 2.5),
        # Of many windows what attention makes does not stay in the cache, and ONNX Runtime goes over it more often.
        *(_compiled(name, session, network, windows[:batch]) for batch in (8, _WINDOWS)),
    ]


def _compiled(name: str, session: onnxruntime.InferenceSession, network: SFormer, windows: Tensor) -> Result:
    feeds = {session.get_inputs()[0].name: windows.numpy()}
    sides = _in_turns(lambda: session.run(None, feeds), lambda: _infer(network, windows))
    return _result(f"{name}_onnx_batch_{len(windows)}", "torch eager with the fast selection", sides, 1.0)


def _result(name: str, peer: str, sides: tuple[list[float], list[float]], target: float) -> Result:
    return Result(name=f"sformer.{name}", unit="s", peer_name=peer, ours=sides[0], peer=sides[1], target=target)


def _step(network: nn.Module, windows: Tensor, labels: Tensor) -> None:
    network.zero_grad()
    torch.autograd.backward(nn.functional.cross_entropy(network(windows), labels))


def _infer(network: nn.Module, windows: Tensor) -> Tensor:
    with torch.inference_mode():
        found: Tensor = network(windows)
    return found


def _session(network: SFormer, windows: Tensor) -> onnxruntime.InferenceSession:
    """Raises `RuntimeError` where it does not tell the classes that torch tells."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(export_network(exportable(network), (windows,)), options, providers=[CPU])
    found = session.run(None, {session.get_inputs()[0].name: windows.numpy()})[0]
    agree = np.mean(found.argmax(axis=1) == _infer(network, windows).numpy().argmax(axis=1))
    if agree < 0.99:
        raise RuntimeError(f"the exported network agrees with torch on {agree:.1%} of the windows only")
    return session


def _in_turns(ours: Callable[[], object], peer: Callable[[], object]) -> tuple[list[float], list[float]]:
    pairs = [(_seconds(ours), _seconds(peer)) for _ in range(_WARM_UP + _REPEATS)][_WARM_UP:]
    first, second = zip(*pairs, strict=True)
    return list(first), list(second)


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
