"""anomalib's PatchCore at work on images in a file; runs in anomalib's own environment, as a command.

    python anomalib_predict.py IMAGES.npy WEIGHTS ROWS REPEATS

IMAGES are (b, 3, s, s) float32, normalised. Prints the CPU seconds of each repeat, in one thread. The memory bank is
ROWS of the images' own patches: how long a prediction takes does not depend on which.
"""

import sys
import time

import numpy as np
import torch
from anomalib_coreset import declare_missing_operators


def main() -> None:
    """Reads, predicts, prints."""
    images, weights, rows, repeats = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(1)
    declare_missing_operators()
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel

    model = PatchcoreModel(layers=["blocks.2", "blocks.4"], backbone="tf_efficientnet_lite0", pre_trained=False)
    _load(model.feature_extractor, torch.load(weights, weights_only=True))
    model.eval()
    batch = torch.from_numpy(np.load(images))
    with torch.inference_mode():
        maps = model.feature_extractor(batch)
        embedding = model.generate_embedding({name: model.feature_pooler(found) for name, found in maps.items()})
        patches = model.reshape_embedding(embedding)
        model.memory_bank = patches[torch.randperm(len(patches), generator=torch.Generator().manual_seed(0))[:rows]]
        for _ in range(repeats):
            start = time.process_time()
            model(batch)
            print(time.process_time() - start)


def _load(extractor: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """The published weights in timm's network: other names, the same tensors in the same order."""
    wanted = extractor.state_dict()
    values = [tensor for name, tensor in weights.items() if not name.startswith("_fc")][: len(wanted)]
    extractor.load_state_dict(dict(zip(wanted, values, strict=True)))


if __name__ == "__main__":
    main()
