"""Compiled models against torch eager, bare ONNX Runtime and anomalib; int8 against float32, a swap against a rebuild.

Seconds are CPU seconds of one thread, the two sides in turns: beside other work wall time measures that work.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.compiled_cases import Case, magnetic_tiles, solar_cells
from benchmarks.peer_environments import ANOMALIB, PEERS, PeerMissing, environment
from benchmarks.result import Result
from edge_client.bench.processor import processor_from_cpuinfo
from edge_client.compile.export import export
from edge_client.compiled.onnxruntime import OnnxRuntimeRunner
from edge_client.compiled.runner import RawScores, Runner
from edge_client.compiled.session import CPU
from edge_client.judge import judgements
from edge_client.prove.precision import Choice
from edge_client.threads import VARIABLE
from models.backbones.registry import weights_file
from models.pixels import resized
from models.scoring import smooth_maps

_REPEATS, _WARM_UP = 60, 5
_PEER = "anomalib 2.7.0 PatchCore, same backbone, 512 rows, batch {}"


def run() -> list[Result]:
    """CPU seconds of each side."""
    os.environ[VARIABLE] = "1"
    with threadpool_limits(1):
        cells = Case(solar_cells())
        runner = OnnxRuntimeRunner(cells.graph, cells.bank)
        results = [
            *(_against_eager(cells, runner, batch) for batch in (1, 8)),
            _against_bare_session(cells, runner),
            _swap(cells, runner),
            *_int8("solar_cells", cells),
            *_anomalib(cells, runner),
        ]
        tiles = magnetic_tiles()
        return [*results, *([] if tiles is None else _int8("magnetic_tile", Case(tiles)))]


def _against_eager(case: Case, runner: Runner, batch: int) -> Result:
    pixels = case.exhibit.read(range(batch))
    ours, eager = _in_turns(lambda: runner.run(pixels), lambda: case.eager(pixels))
    return Result(
        name=f"compiled.fp32_batch_{batch}", unit="s", peer_name=f"the same detector in torch eager, batch {batch}",
        ours=ours, peer=eager, target=0.5,
    )  # fmt: skip


def _against_bare_session(case: Case, runner: Runner) -> Result:
    """From decoded image to judgement, against nothing but the session's run on floats that lie ready."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(case.graph, options, providers=[CPU])
    images = list(case.exhibit.read([0]))
    floats = np.ascontiguousarray(images[0].transpose(2, 0, 1)[None], np.float32)
    feeds = {"images": floats, **case.bank.inputs([entry.name for entry in session.get_inputs()])}
    ours, bare = _in_turns(lambda: _judge(runner, images), lambda: session.run(None, feeds))
    return Result(
        name="compiled.judge", unit="s", peer_name="bare ONNX Runtime session on the same graph, batch 1",
        ours=ours, peer=bare, target=1.05,
    )  # fmt: skip


def _judge(runner: Runner, images: list[NDArray[np.uint8]]) -> object:
    scores, maps = runner.run(resized(images, 224))
    return judgements(images, scores, smooth_maps(maps), "top1%", 0.0)


def _swap(case: Case, runner: Runner) -> Result:
    def rebuild() -> None:
        OnnxRuntimeRunner(export(case.detector.graph(), 224), case.bank).close()

    return Result(
        name="compiled.bank_swap", unit="s", peer_name="export and load again, as with the bank baked into the graph",
        ours=[_seconds(lambda: runner.swap(case.bank)) for _ in range(_REPEATS)],
        peer=[_seconds(rebuild) for _ in range(2)],
    )  # fmt: skip


def _int8(name: str, case: Case) -> list[Result]:
    """Speed and image AUROC of int8 where it passes its gates; float32 takes its place where not."""
    choice = case.proven("int8")
    runner = OnnxRuntimeRunner(case.graph, case.bank)
    processor = processor_from_cpuinfo(Path("/proc/cpuinfo").read_text())
    results = []
    for batch in (1, 8):
        pixels = case.exhibit.read(range(batch))
        ours, float32 = _in_turns(lambda p=pixels: choice.runner.run(p), lambda p=pixels: runner.run(p))  # type: ignore[misc]
        results.append(
            Result(
                name=f"compiled.int8_{name}_batch_{batch}",
                unit="s",
                peer_name=f"its float32, {processor}",
                ours=ours,
                peer=float32,
                target=1 / 1.5,
                skipped=str(choice.refused or ""),
            )
        )
    return [*results, _area(name, choice)]


def _area(name: str, choice: Choice) -> Result:
    area = choice.parity.certificates[-1].area
    return Result(
        name=f"compiled.int8_{name}_auroc", unit="AUROC", peer_name="the trained model; the gate is a change of -0.01",
        ours=[area.compiled] if area else [], peer=[area.reference] if area else [],
    )  # fmt: skip


def _anomalib(case: Case, runner: Runner) -> list[Result]:
    results = []
    for batch in (1, 8):
        pixels = case.exhibit.read(range(batch))
        ours = [_seconds(lambda p=pixels: runner.run(p)) for _ in range(_WARM_UP + _REPEATS)][_WARM_UP:]  # type: ignore[misc]
        peer: list[float] = []
        skipped = ""
        try:
            peer = _predict(pixels)
        except PeerMissing as reason:
            skipped = str(reason)
        name = f"compiled.anomalib_batch_{batch}"
        results.append(
            Result(name=name, unit="s", peer_name=_PEER.format(batch), ours=ours, peer=peer, skipped=skipped)
        )
    return results


def _predict(pixels: NDArray[np.uint8]) -> list[float]:
    python = environment("anomalib", ANOMALIB) / "python"
    script = Path(__file__).with_name("anomalib_predict.py")
    with tempfile.TemporaryDirectory(dir=PEERS) as folder:
        images = Path(folder) / "images.npy"
        np.save(images, np.ascontiguousarray(((pixels - np.float32(127)) / np.float32(128)).transpose(0, 3, 1, 2)))
        weights = str(weights_file("efficientnet_lite0", {}))
        command = [str(python), str(script), str(images), weights, "512", str(_WARM_UP + 20)]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise PeerMissing(f"anomalib ended with {done.returncode}: {done.stderr.strip().splitlines()[-1]}")
    return [float(line) for line in done.stdout.split()][_WARM_UP:]


def _in_turns(ours: Callable[[], object], peer: Callable[[], object]) -> tuple[list[float], list[float]]:
    pairs = [(_seconds(ours), _seconds(peer)) for _ in range(_WARM_UP + _REPEATS)][_WARM_UP:]
    first, second = zip(*pairs, strict=True)
    return list(first), list(second)


def _seconds(work: Callable[[], RawScores | object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
