"""Which of a site's normal images are kept from the bank and the training, for the threshold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.method import SiteData, Unusable, derive_seed


def split(data: SiteData, share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the images to train on and of the held-out ones, each sorted.

    The split depends on the site's name and the number of its images alone, so it is the same in all rounds of a job,
    and again when the same images lie elsewhere: an image that was once in the bank never serves the threshold. A
    single image is trained on and none is held out; of two, one is.

    Raises:
        Unusable: there are no images.
    """
    images = len(data.samples)
    if images == 0:
        raise Unusable(f"{data.site} has no normal image to learn from; put some into the data folder's train/good")
    held = 0 if images == 1 else min(images - 1, max(1, round(share * images)))
    order = np.random.default_rng(derive_seed(0, data.site, images, "holdout")).permutation(images)
    return np.sort(order[held:]), np.sort(order[:held])
