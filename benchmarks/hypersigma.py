"""HyperSIGMA's classifiers against the authors' formulation with the same weights, in CPU seconds of one thread."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from benchmarks.hypersigma_literal import classify, segment
from benchmarks.result import Result
from edge_client.compile.network import export_network
from models.hypersigma.initialise import fresh
from models.hypersigma.networks import plan

_REPEATS = 5


def run() -> list[Result]:
    """Base and small, the published windows; torch and ONNX Runtime against the literal form in torch."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [
            *_compared("classification", "base", 1, classify),
            *_compared("classification", "base", 8, classify),
            *_compared("classification", "small", 16, classify),
            *_compared("segmentation", "base", 1, segment),
        ]
    finally:
        torch.set_num_threads(before)


def _compared(task: str, size: str, batch: int, literal: Callable[[nn.Module, Tensor], Tensor]) -> list[Result]:
    found = plan(task, size)
    whole = fresh(found, seed=0, complete=True).eval()
    lean = fresh(found, seed=0).eval()
    lean.load_state_dict({key: whole.state_dict()[key] for key in lean.state_dict()}, assign=True)
    window = found.window
    cube = torch.randn(batch, window.bands, window.height, window.width, generator=torch.Generator().manual_seed(0))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(export_network(lean, (cube[:1],)), options)
    feeds = {session.get_inputs()[0].name: cube.numpy()}
    with torch.inference_mode():
        expected = literal(whole, cube).numpy()
        for logits in (lean(cube).numpy(), session.run(None, feeds)[0]):
            np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())
        rounds = [
            [
                _seconds(work)
                for work in (lambda: lean(cube), lambda: session.run(None, feeds), lambda: literal(whole, cube))
            ]
            for _ in range(_REPEATS)
        ]
    eager, compiled, peer = (list(column) for column in zip(*rounds, strict=True))
    name, who = f"hypersigma.{task}_{size}_batch_{batch}", "the authors' formulation in torch, same weights"
    return [
        Result(name=name, unit="s", peer_name=who, ours=eager, peer=peer, target=1 / 1.5),
        Result(name=f"{name}_onnx", unit="s", peer_name=who, ours=compiled, peer=peer, target=1 / 1.5),
    ]


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
