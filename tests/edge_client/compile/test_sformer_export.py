import numpy as np
import onnxruntime
import torch

from edge_client.compile.network import export_network
from models.sformer.architecture import SMALL
from models.sformer.graph import exportable
from models.sformer.network import SFormer
from models.sformer.recipe import Recipe
from models.sformer.training import train
from models.wsa.inference import logits


def test_classes_of_onnx_runtime_are_those_of_torch_when_exported() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 1024)
    windows = rng.normal(size=(1024, 5, 10, 10)).astype(np.float32)
    windows[np.arange(1024), labels] += 1
    torch.manual_seed(0)
    network = SFormer(SMALL, components=5, classes=5)
    train(network, windows[:256], labels[:256], Recipe(epochs=6, batch=32), seed=0)
    session = onnxruntime.InferenceSession(export_network(exportable(network), (torch.from_numpy(windows[:2]),)))
    (found,) = session.run(None, {session.get_inputs()[0].name: windows})
    expected = logits(network, windows)
    assert np.mean(found.argmax(axis=1) == expected.argmax(axis=1)) >= 0.999
    assert np.quantile(np.abs(found - expected), 0.999) <= 1e-2
