"""The server's half: FedAvg as it comes, with a clock at the end of every round."""

import json
import time
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Runs the rounds and writes their seconds, and what was added to the model, to the file named in the config."""
    config = context.run_config
    sites, rounds = int(config["sites"]), int(config["rounds"])
    rng = np.random.default_rng(0)
    start = {
        f"array{i:02}": rng.standard_normal(int(config["values"]), dtype=np.float32)
        for i in range(int(config["arrays"]))
    }
    sample = start["array00"][:1000].copy()
    while len(list(grid.get_node_ids())) < sites:
        time.sleep(0.2)
    ends: list[float] = []
    strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=sites, min_available_nodes=sites)
    result = strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord({name: Array(array) for name, array in start.items()}),
        num_rounds=rounds,
        evaluate_fn=lambda number, arrays: ends.append(time.monotonic()),
    )
    added = result.arrays["array00"].numpy()[:1000] - sample
    found = {"round_s": np.diff(ends).tolist(), "added": float(added.mean())}
    partial = Path(str(config["result"]) + ".partial")
    partial.write_text(json.dumps(found))
    partial.rename(str(config["result"]))
