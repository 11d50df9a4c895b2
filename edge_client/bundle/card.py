"""`MODEL_CARD.md` of a bundle: for people, from what the other files say and nothing else."""

from __future__ import annotations

from edge_client.bundle.calibration import CalibrationFile
from edge_client.bundle.manifest import DetectorManifest
from edge_client.calibration import calibrate
from edge_client.prove.certificate import Certificate, Parity


def model_card(manifest: DetectorManifest, calibration: CalibrationFile, parity: Parity) -> str:
    """The card as Markdown."""
    backbone, memory, size = manifest.backbone, manifest.memory, manifest.input.size
    proven = "\n".join(f"- {_proof(certificate)}" for certificate in parity.certificates)
    return f"""# {manifest.job}

Finds images that do not look like a site's normal ones. Made by EdgeFed {manifest.edgefed}; what is exact stands in
`manifest.json`, `calibration.json` and `parity.json` beside this page.

## What it does

It resizes an image to {size} x {size} pixels, describes each small region by {backbone.name}
({", ".join(backbone.stages)}), and measures how far it lies from the nearest of {memory.rows} prototypes of normal
regions. The prototypes were made by several sites together, with FedDyMem; no image of any site is in them.

## What its scores mean

{_threshold(calibration)}
The threshold holds for images from the same source as those; a new camera, light or product needs a new calibration.

## What was proven

Backend {manifest.backend}, precision {manifest.precision}.

{proven}

## What it is not for

- Saying what a defect is, or how bad: it says how unlike the normal images a region is.
- Images of a kind that none of the sites had: they are unlike by being new.
- Deciding alone where a miss can hurt somebody; how often it misses is known only where labelled defects were at hand.

The backbone's weights (SHA-256 `{backbone.sha256[:16]}…`) are under a licence of their own.
"""


def _threshold(calibration: CalibrationFile) -> str:
    found = calibrate(calibration.scores, calibration.false_reject_rate)
    if found is None:
        return "No normal image was held out, so there is no threshold: scores can be compared with each other alone.\n"
    return f"Above {found.threshold.value:.4g} an image counts as a defect: {found}.\n"


def _proof(certificate: Certificate) -> str:
    name = f"{certificate.precision} on {certificate.backend}, {certificate.device}"
    verdict = "passed" if certificate.passed else "refused"
    told = [
        f"{verdict} on {sum(certificate.images.values())} images",
        f"greatest relative difference of scores {certificate.score.max_relative:.1e}",
    ]
    if certificate.area:
        area = certificate.area
        told.append(f"image AUROC {area.compiled:.4f}, trained {area.reference:.4f} ({area.defects} defects)")
    if certificate.decisions:
        told.append(f"{certificate.decisions.flips} changed decisions")
    return f"{name}: {', '.join(told)}." + (f" Note: {certificate.note}." if certificate.note else "")
