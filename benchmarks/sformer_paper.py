"""The paper's own run: its preset, recipe and split on Indian Pines; half an hour to an hour of one CPU core.

    python -m benchmarks.sformer_paper --seed 0 --log build/sformer_paper_0.jsonl

The split is random, as the paper's is, and so its test windows overlap its training windows: the figure is for
comparison with the paper's 95.17 and says little about other scenes. The log gets a line with each epoch's loss and
at last one with the accuracy. Beside it lies a checkpoint; the same command goes on from there.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from benchmarks.indian_pines import load_scene
from benchmarks.sformer_scene import components
from models.hsi.splits import random_split
from models.sformer.presets import build_paper
from models.sformer.recipe import PAPER_RECIPE
from models.sformer.training import begin, restore, to_arrays, train_epoch

_COMPONENTS = 30
_KEEP_EVERY = 10


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sformer_paper", description=__doc__)
    parser.add_argument("--seed", type=int, required=True, help="of split, weights and order")
    parser.add_argument("--log", type=Path, required=True, help="JSON lines; the checkpoint lies beside it")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.log.parent.mkdir(parents=True, exist_ok=True)
    run(arguments.seed, arguments.log)


def run(seed: int, log: Path) -> None:
    scene, checkpoint = load_scene(), log.with_suffix(".safetensors")
    split = random_split(scene.labels, 10, seed=seed)
    seen = components(scene, split, _COMPONENTS, fitted_on="whole image")
    windows, labels = seen.examples(split.train, split.window)
    torch.manual_seed(seed)
    training = begin(build_paper(_COMPONENTS, len(scene.class_names), {}), PAPER_RECIPE)
    if checkpoint.exists():
        restore(training, load_file(checkpoint))
    while training.epoch < PAPER_RECIPE.epochs:
        started = time.process_time()
        loss = train_epoch(training, windows, labels, seed=seed)
        _append(log, {"epoch": training.epoch, "loss": loss, "cpu_s": round(time.process_time() - started, 2)})
        if training.epoch % _KEEP_EVERY == 0:
            _keep(checkpoint, to_arrays(training))
    _append(log, {"seed": seed, "train": len(split.train), **asdict(seen.test(training.network, split.test))})


def _append(log: Path, entry: dict[str, Any]) -> None:
    with log.open("a") as file:
        print(json.dumps(entry), file=file, flush=True)


def _keep(checkpoint: Path, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    """Replaces the checkpoint whole, so that a machine that goes away leaves the last one."""
    new = checkpoint.with_suffix(".new")
    save_file(arrays, new)
    new.replace(checkpoint)


if __name__ == "__main__":
    main()
