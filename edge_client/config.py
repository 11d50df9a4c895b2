"""`site.toml`: what a site has and what may leave it. One pydantic model, so that every fault is told at once."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge_client.cubes.settings import CubeSettings
from protos.artifacts import MEMORY_BANK, WEIGHTS
from protos.errors import InvalidInput

SITE_FILE = "site.toml"
MAX_SITE_BYTES = 64 << 10
_MEDIA_TYPES = {"memory-bank": MEMORY_BANK, "weights": WEIGHTS}
_Table = TypeVar("_Table", bound=BaseModel)
_STRICT = ConfigDict(extra="forbid", frozen=True)


class Data(CubeSettings):
    """Where the site's own data lies: images, or one cube or several and what is said of them.

    Attributes:
        images: a folder in MVTec layout, with `train/good` in it; relative to the site folder.
        scenes: several cubes, instead of `cube` and `labels`; what is said beside them holds for each that does not
            say it itself.
    """

    images: Path | None = None
    scenes: tuple[CubeSettings, ...] = ()

    @model_validator(mode="after")
    def _one_cube_or_several(self) -> Data:
        if self.scenes and (self.cube or self.labels):
            raise ValueError("cube and labels stand in each of [[data.scenes]], or in [data] where there is one cube")
        return self

    @property
    def all_scenes(self) -> tuple[CubeSettings, ...]:
        """What holds for each cube of the site."""
        if not self.scenes:
            return (self,) if self.cube else ()
        shared = self.model_copy(update={"scenes": ()})
        return tuple(
            shared.model_copy(update={key: getattr(scene, key) for key in scene.model_fields_set})
            for scene in self.scenes
        )

    def of_cube(self, cube: Path) -> CubeSettings:
        """What holds for a cube: one of the site's own, or another of its camera."""
        own = (scene for scene in self.all_scenes if scene.cube and scene.cube.resolve() == cube.resolve())
        return next(own, self)

    def of_scene(self, cube: Path, labels: Path) -> CubeSettings:
        """What holds for a cube with other labels than the site's own."""
        return self.of_cube(cube).model_copy(update={"cube": cube, "labels": labels})


NO_DATA: Final = Data()
"""Of a site that has not said yet where its data lies."""


class BackboneFile(BaseModel):
    """A pretrained network that the site trusts.

    Attributes:
        weights: its weights file; relative to the site folder.
        sha256: of that file, 64 hex characters.
    """

    model_config = _STRICT

    weights: Path
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Egress(BaseModel):
    """The egress contract: what may leave the site. It has no defaults; the site says it.

    Attributes:
        allow: the kinds of artifact that may leave.
        max_bytes: the largest artifact that may leave.
    """

    model_config = _STRICT

    allow: tuple[Literal["memory-bank", "weights"], ...]
    max_bytes: Annotated[int, Field(ge=1)]

    def refusal(self, media_type: str, size: int) -> str | None:
        """Why an artifact may not leave, or None where it may."""
        allowed = {_MEDIA_TYPES[name] for name in self.allow}
        if media_type not in allowed:
            kinds = " and ".join(self.allow) or "nothing"
            return f"the egress contract of the site allows {kinds} to leave, not {media_type}"
        if size > self.max_bytes:
            return f"the egress contract of the site allows at most {self.max_bytes} bytes to leave, not {size}"
        return None


class Compile(BaseModel):
    """How every model that a job installs is compiled, from the first one on.

    Attributes:
        backend: see `edgefed client compile --backend`.
        precision: of the backbone.
    """

    model_config = _STRICT

    backend: Literal["auto", "onnxruntime", "onnxruntime-cuda", "tensorrt", "tensorrt-rtx"] = "onnxruntime"
    precision: Literal["fp32", "fp16", "int8"] = "fp32"


class SiteConfig(BaseModel):
    """A site's own configuration.

    Attributes:
        data: where the training data lies.
        backbones: pretrained networks by name.
        egress: what may leave.
        compile: how models are compiled; None compiles none but those whose forerunner was.
    """

    model_config = _STRICT

    data: Data = Data()
    backbones: dict[str, BackboneFile] = {}
    egress: Egress
    compile: Compile | None = None


def data_at(path: Path | None, labels: Path | None) -> Data:
    """What a new site says of its data: a folder of images, or a cube and its labels.

    Raises:
        InvalidInput: labels of no cube.
    """
    if path is not None and path.is_file():
        return Data(cube=path.absolute(), labels=labels and labels.absolute())
    if labels is not None:
        raise InvalidInput(f"{labels} holds labels of a cube; name the cube's file with --data")
    return Data(images=path and path.absolute())


def site_data(site_dir: Path) -> Data:
    """What a site says of its data; nothing, where there is no `site.toml`. Raises as `load_site_config`."""
    return load_site_config(site_dir).data if (site_dir / SITE_FILE).exists() else Data()


def load_site_config(site_dir: Path) -> SiteConfig:
    """Reads `site.toml` of a site folder, with its paths made absolute.

    Raises:
        InvalidInput: it cannot be read, or has faults; every fault is listed.
    """
    path = site_dir / SITE_FILE
    try:
        with path.open("rb") as file:
            text = file.read(MAX_SITE_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"the site configuration {path} cannot be read: {error.strerror}") from error
    if len(text) > MAX_SITE_BYTES:
        raise InvalidInput(f"the site configuration {path} is too large; at most {MAX_SITE_BYTES} bytes are read")
    try:
        table = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:  # ValueError: not TOML, not UTF-8, or a number of 5,000 digits
        raise InvalidInput(f"{path} is not valid TOML: {error}") from error
    try:
        config = SiteConfig.model_validate(table)
    except ValidationError as error:
        faults = [_line(fault["loc"], fault["type"], fault["msg"]) for fault in error.errors(include_url=False)]
        raise InvalidInput(f"{path} has {len(faults)} fault{'s' * (len(faults) > 1)}:\n" + "\n".join(faults)) from error
    return _with_absolute_paths(config, site_dir.absolute())


def site_toml(data: Data) -> str:
    """A new site's configuration, with comments that say what else may stand in it."""
    examples = {"images": "/data/images", "cube": "/data/scene.hdr", "labels": "/data/labels.tif"}
    said = {key: getattr(data, key) for key in examples}
    lines = {
        key: f"# {key} = {_quoted(example)}" if said[key] is None else f"{key} = {_quoted(str(said[key]))}"
        for key, example in examples.items()
    }
    leaving = "memory-bank" if data.cube is None else "weights"  # what jobs of such data send
    return f"""\
# The configuration of this site. It stays here: no line of it leaves the site.

[data]
# A folder in MVTec layout: normal images in train/good, and for `edgefed client evaluate` test/good, test/DEFECT.
{lines["images"]}
# A hyperspectral cube (.mat, ENVI, GeoTIFF, .npz, .npy) and its labels: a raster of the same size in which 0 is
# unlabelled, points (.csv with row, column, class) or polygons (.geojson with the property "class").
{lines["cube"]}
{lines["labels"]}
# variable = "scene"               # the array in a .mat or .npz; label_variable is that of the labels
# classes = ["corn", "wood"]       # names of the labels 1, 2, ... where their file does not say them
# bands = ["1-103", 110]           # to use, counted from 1; all where left out
# bad_bands = ["104-108"]          # to leave out
# no_data = -9999                  # where the file does not say it
# wavelengths = [430.5, 440.1]     # nanometres of each band, where the file does not say them
# Several cubes, each with a table of its own; what stands above holds for all of them:
# [[data.scenes]]
# cube = "/data/monday.hdr"
# labels = "/data/monday.tif"

# The egress contract: what may leave this site. Kinds: "memory-bank", "weights".
[egress]
allow = ["{leaving}"]
max_bytes = 268_435_456

# A pretrained network for jobs that ask for one by this name.
# [backbones.NAME]
# weights = "/models/NAME.pt"
# sha256 = "..."                 # as `sha256sum` prints it

# Compile every model that a job installs; without this, only those that follow one which was compiled by hand.
# [compile]
# backend = "onnxruntime"        # or "onnxruntime-cuda", "tensorrt", "tensorrt-rtx", "auto"
# precision = "fp32"             # or "fp16", "int8"
"""


def _with_absolute_paths(config: SiteConfig, base: Path) -> SiteConfig:
    scenes = tuple(_based(scene, base, ("cube", "labels")) for scene in config.data.scenes)
    data = _based(config.data, base, ("images", "cube", "labels")).model_copy(update={"scenes": scenes})
    backbones = {
        name: BackboneFile(weights=base / entry.weights, sha256=entry.sha256)
        for name, entry in config.backbones.items()
    }
    return config.model_copy(update={"data": data, "backbones": backbones})


def _based(table: _Table, base: Path, keys: tuple[str, ...]) -> _Table:
    said = {key: getattr(table, key) for key in keys}
    return table.model_copy(update={key: base / path for key, path in said.items() if path is not None})


def _line(where: tuple[int | str, ...], kind: str, message: str) -> str:
    what = "unknown key" if kind == "extra_forbidden" else message
    return f"  {'.'.join(str(part) for part in where)}: {what}"


def _quoted(text: str) -> str:
    # TOML's basic strings escape as JSON's do for everything that a path can hold.
    return json.dumps(text, ensure_ascii=False)
