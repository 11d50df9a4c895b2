"""anomalib's KCenterGreedy on patches in a file; runs in anomalib's own environment, as a command.

    python anomalib_coreset.py PATCHES.npy RATIO SEED BANK.npy

Writes the bank and prints the seconds that KCenterGreedy took, projection included.
"""

import sys
import time

import numpy as np
import torch


def declare_missing_operators() -> None:
    """Makes anomalib importable where torchvision was built for CUDA and torch is not.

    torchvision then cannot load its operators and stops at naming the two that its Python half registers. Declared
    without an implementation they are there in name; KCenterGreedy uses no operator of torchvision.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def main() -> None:
    """Reads, reduces, writes."""
    patches, ratio, seed, bank = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    declare_missing_operators()
    from anomalib.models.components.sampling import KCenterGreedy

    torch.manual_seed(seed)
    np.random.seed(seed)  # the projection draws from NumPy's global generator
    embedding = torch.from_numpy(np.load(patches))
    start = time.perf_counter()
    rows = KCenterGreedy(embedding, ratio).sample_coreset()
    seconds = time.perf_counter() - start
    np.save(bank, rows.numpy())
    print(seconds)


if __name__ == "__main__":
    main()
