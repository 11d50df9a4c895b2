"""What a site gives to the local half of a method: images or a scene, checked backbones, and a folder for caches."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

from edge_client.config import BackboneFile, Data, SiteConfig, load_site_config
from edge_client.cubes.opening import files_of
from edge_client.cubes.scene_file import load_scene
from edge_client.datasets import training_images
from edge_client.image_files import ImageFiles, fingerprint, readable_images
from models.hsi.scene import Scene
from models.method import Report, SiteData, Unusable
from protos.errors import IntegrityError, InvalidInput
from protos.jobs import JobSpec

log = logging.getLogger(__name__)


class SiteReader:
    """Reads a site's data for its jobs; files are read once for as long as none of them changes."""

    def __init__(self) -> None:
        self._readable: dict[str, tuple[Path, ...]] = {}
        self._checked: dict[str, dict[str, Path]] = {}
        self._read_scenes: dict[str, tuple[Scene, ...]] = {}

    def read(self, site_dir: Path, job_dir: Path, spec: JobSpec, report: Report) -> SiteData:
        """The data of a site for one job.

        Args:
            site_dir: the site's state folder.
            job_dir: the job's folder in it.
            spec: of the job.
            report: told while images are read for the first time.

        Raises:
            InvalidInput: `site.toml` has faults.
            IntegrityError: a backbone's file is not the one that `site.toml` means.
            Unusable: the site names no images or no cube, or they cannot be read: then its cause names the site's own
                files, and is for the site's log, not for the coordinator.
        """
        config = load_site_config(site_dir)
        scratch = job_dir / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        wanted = spec.the_method.data
        paths = self._images(config, report) if wanted == "images" else ()
        key, scenes = self._scenes(config.data, scratch) if wanted == "cube" else (fingerprint(paths), ())
        return SiteData(ImageFiles(paths), key, self._weights(config), scratch, _site_name(site_dir), scenes)

    def _weights(self, config: SiteConfig) -> dict[str, Path]:
        """As `checked_weights`; those of a foundation model take longer to check than a round."""
        files = fingerprint([entry.weights for entry in config.backbones.values()])
        key = f"{files} {config.backbones}"
        if key not in self._checked:
            self._checked = {key: checked_weights(config)}
        return self._checked[key]

    def _scenes(self, data: Data, scratch: Path) -> tuple[str, tuple[Scene, ...]]:
        """The site's scenes, and what changes when one of them does."""
        if not data.all_scenes or any(scene.labels is None for scene in data.all_scenes):
            raise Unusable("the site's configuration names no labelled cube; set [data] cube and labels in site.toml")
        try:
            named = [path for scene in data.all_scenes for path in (scene.cube, scene.labels) if path is not None]
            files = fingerprint([file for path in named for file in files_of(path)])
            key = hashlib.sha256(f"{files} {scratch} {data.model_dump_json()}".encode()).hexdigest()
            if key not in self._read_scenes:
                self._read_scenes = {}  # what was read before goes before more is read
                self._read_scenes = {key: _loaded(data, scratch)}
        except InvalidInput as error:
            raise Unusable("the site has no labelled scene that can be read; its log says more") from error
        return key, self._read_scenes[key]

    def _images(self, config: SiteConfig, report: Report) -> tuple[Path, ...]:
        if config.data.images is None:
            raise Unusable("the site's configuration names no folder of images; set [data] images in site.toml")
        try:
            found = training_images(config.data.images)
            key = fingerprint(found.images)
            if key not in self._readable:
                self._readable = {key: readable_images(found.images, report)}
                log.info("training images: %s", found)
        except InvalidInput as error:
            raise Unusable("the site has no normal images that can be read; its log says more") from error
        return self._readable[key]


def _loaded(data: Data, scratch: Path) -> tuple[Scene, ...]:
    scenes = []
    for number, settings in enumerate(data.all_scenes):
        scenes.append(load_scene(settings, scratch / f"cube-{number}.npy"))
        log.info("scene: %s", _described(scenes[-1]))
    return tuple(scenes)


def checked_weights(config: SiteConfig) -> dict[str, Path]:
    """Backbone name -> its weights file, whose SHA-256 is the one in `site.toml`.

    Raises:
        InvalidInput: a file cannot be read.
        IntegrityError: a file is another one.
    """
    return {name: check_weights(name, entry) for name, entry in config.backbones.items()}


def check_weights(name: str, entry: BackboneFile) -> Path:
    """The weights file of one backbone. Raises as `checked_weights`."""
    try:
        with entry.weights.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidInput(f"the weights of {name}, {entry.weights}, cannot be read: {error.strerror}") from error
    if found != entry.sha256:
        raise IntegrityError(f"{entry.weights} has the SHA-256 {found}, and site.toml promises {entry.sha256}")
    return entry.weights


def _described(scene: Scene) -> str:
    height, width, bands = scene.cube.shape
    counts = ", ".join(f"{count} {name}" for name, count in scene.counts.items())
    return f"{height} x {width} pixels, {bands} bands; labelled: {counts}"


def _site_name(site_dir: Path) -> str:
    """What the coordinator calls the site; "alone" where none was joined, see `edge_client.alone`."""
    joined = site_dir / "identity" / "coordinator.json"
    return str(json.loads(joined.read_text())["site"]) if joined.exists() else "alone"
