"""Class lists of a site and of a job meet by name, never by index."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray


def renumbered(labels: NDArray[np.integer], own: tuple[str, ...], wanted: tuple[str, ...]) -> NDArray[np.int16]:
    """Labels (h, w) numbered by the site's own classes, as numbers of the wanted ones; 0 stays 0.

    Names meet whatever their case, and with "_", "-" and spaces alike. The site may lack classes; a class that it
    has labels of and that is not wanted is refused.

    Raises:
        ValueError: such a class, or two names that meet.
    """
    numbers = {_folded(name): number for number, name in enumerate(wanted, start=1)}
    for names in (own, wanted):
        if len({_folded(name) for name in names}) != len(names):
            raise ValueError(f"two of these classes have the same name: {', '.join(names)}")
    used = {int(number) for number in np.unique(labels)} - {0}
    if foreign := [name for number, name in enumerate(own, start=1) if number in used and _folded(name) not in numbers]:
        raise ValueError(
            f"the site has labels of {', '.join(foreign)}, which is no class of the job ({', '.join(wanted)});"
            " rename or leave out these classes"
        )
    lookup = np.array([0, *(numbers.get(_folded(name), 0) for name in own)], np.int16)
    return np.asarray(lookup[labels])


def _folded(name: str) -> str:
    return re.sub(r"[\s_\-]+", " ", name).strip().casefold()
