"""What a site gives to the local half of a method: its images, its checked backbones, and a folder for caches."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

from edge_client.config import BackboneFile, SiteConfig, load_site_config
from edge_client.datasets import training_images
from edge_client.image_files import ImageFiles, fingerprint, readable_images
from models.method import Report, SiteData, Unusable
from protos.errors import IntegrityError, InvalidInput
from protos.jobs import JobSpec

log = logging.getLogger(__name__)


class SiteReader:
    """Reads a site's data for its jobs; files are read once for as long as none of them changes."""

    def __init__(self) -> None:
        self._readable: dict[str, tuple[Path, ...]] = {}

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
            Unusable: the site names no images, or none of them can be read.
        """
        config = load_site_config(site_dir)
        paths = self._images(config, report) if spec.the_method.data == "images" else ()
        scratch = job_dir / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        return SiteData(
            ImageFiles(paths), fingerprint(paths), checked_weights(config), scratch, _site_name(site_dir)
        )  # fmt: skip

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
            # The message names the site's own folders: it is for the site's log, not for the coordinator.
            log.error("%s", error)
            raise Unusable("the site has no normal images that can be read; its log says more") from error
        return self._readable[key]


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


def _site_name(site_dir: Path) -> str:
    return str(json.loads((site_dir / "identity" / "coordinator.json").read_text())["site"])
