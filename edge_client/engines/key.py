"""What an engine depends on. Two engines are the same exactly when all of it is."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Self

from edge_client.compiled.tensorrt import BuildOptions
from edge_client.compiled.tensorrt_api import TensorRT
from edge_client.compiled.tensorrt_profile import Profile
from edge_client.engines.device import Device


@dataclass(frozen=True, kw_only=True)
class EngineKey:
    """Everything that decides whether an engine may be used; each field is compared as text.

    Attributes:
        onnx_sha256: of the file's bytes, weights and all: a name or a shape says nothing about a model's weights.
        runtime: name and full version, "tensorrt-rtx 1.7.1.116".
        gpu: its name; "" where there is none.
        compute_capability: as "8.9".
        driver: its version.
        os: distribution and version.
        arch: of the processor.
        l4t: a Jetson's Linux; "" elsewhere.
        precision: "fp32", "fp16" or "int8".
        profile: input name -> least, usual and most of its first axis, as "images 1 1 8, rows 1 512 1024".
        options: what else the builder was told, as "target SM89"; "" for nothing.
    """

    onnx_sha256: str
    runtime: str
    gpu: str
    compute_capability: str
    driver: str
    os: str
    arch: str
    l4t: str
    precision: str
    profile: str
    options: str

    @classmethod
    def of(cls, onnx: bytes, trt: TensorRT, device: Device, profile: Profile, options: BuildOptions) -> Self:
        """The key of an engine that `build_engine` would make on a device."""
        gpu, jetson = device.gpu, device.jetson
        spans = (f"{name} {span.least} {span.usual} {span.most}" for name, span in sorted(profile.items()))
        others = {"target": options.target, "dla_core": options.dla_core}
        return cls(
            onnx_sha256=sha256(onnx).hexdigest(),
            runtime=str(trt),
            gpu=gpu.name if gpu else "",
            compute_capability=gpu.compute_capability if gpu else "",
            driver=gpu.driver if gpu else "",
            os=device.os,
            arch=device.arch,
            l4t=jetson.l4t if jetson else "",
            precision=options.precision,
            profile=", ".join(spans),
            options=", ".join(f"{name} {value}" for name, value in others.items() if value is not None),
        )

    @property
    def sha256(self) -> str:
        """Of all fields."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def differences(self, other: EngineKey) -> list[str]:
        """The fields in which another key differs, with both values, as "driver: 560.35 here, 550.54 there"."""
        mine, theirs = asdict(self), asdict(other)
        return [
            f"{name}: {_short(value)} here, {_short(theirs[name])} there"
            for name, value in mine.items()
            if value != theirs[name]
        ]


def _short(value: str) -> str:
    return (value if len(value) < 64 else value[:12]) or "none"  # of a digest the start tells it apart
