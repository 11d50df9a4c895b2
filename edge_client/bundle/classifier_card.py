"""`MODEL_CARD.md` of a bundle that classifies pixels: for people, from what the other files say and nothing else."""

from __future__ import annotations

from edge_client.bundle.manifest import ClassifierManifest
from edge_client.prove.pixels import PixelParity


def classifier_card(manifest: ClassifierManifest, parity: PixelParity) -> str:
    """The card as Markdown."""
    spectra = manifest.input
    camera = (
        f"cubes are resampled to {spectra.bands} wavelengths from {min(spectra.wavelengths):g} to "
        f"{max(spectra.wavelengths):g} nm"
        if spectra.wavelengths
        else f"cubes need the {spectra.bands} bands of the camera that it was trained with"
    )
    return f"""# {manifest.job}

Tells the class of every pixel of a hyperspectral cube. Made by EdgeFed {manifest.edgefed}; what is exact stands in
`manifest.json` and `parity.json` beside this page.

## What it does

{camera[0].upper()}{camera[1:]}. They become {spectra.components} components, and {manifest.network}
looks at the {spectra.size} x {spectra.size} pixels around each pixel. Several sites trained it together; no cube of any
site is in it.

Classes: {", ".join(manifest.classes)}.

## What was proven

Backend {manifest.backend}, precision {manifest.precision}, on {parity.pixels} pixels of the site's own scenes against
the {parity.reference}: {parity.agreement:.2%} get the same class; of a thousand logits 999 differ by at most
{parity.quantile:.1e} of how much they vary. That says nothing of how often the trained model is right.

## What it is not for

- Classes that are not listed: every pixel gets one of these.
- Scenes under another light, of another season or another camera than those that the sites labelled; measure it there
  first (`edgefed client evaluate`), on pixels far from those that it was trained on.
"""
