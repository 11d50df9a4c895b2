"""Every parser that takes bytes from outside, by name."""

from __future__ import annotations

from tests.fuzz.families.bundles import BUNDLES
from tests.fuzz.families.certificates import CERTIFICATES
from tests.fuzz.families.configurations import CONFIGURATIONS
from tests.fuzz.families.folders import FOLDERS
from tests.fuzz.families.images import IMAGES
from tests.fuzz.families.installed import INSTALLED
from tests.fuzz.families.messages import MESSAGES
from tests.fuzz.families.records import RECORDS
from tests.fuzz.families.replies import REPLIES
from tests.fuzz.families.tensors import TENSORS
from tests.fuzz.family import Family


def families() -> dict[str, Family]:
    """All of them, in the order of the table."""
    everything = (
        *MESSAGES,
        *CERTIFICATES,
        *TENSORS,
        *INSTALLED,
        *BUNDLES,
        *IMAGES,
        *CONFIGURATIONS,
        *RECORDS,
        *FOLDERS,
        *REPLIES,
    )
    return {family.name: family for family in everything}
