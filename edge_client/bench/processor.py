"""The processor of this machine, and which of its instructions matter for inference."""

from __future__ import annotations

import re

# For sums of 8-bit products: without one of the last five int8 is hardly faster than float32 on a CPU.
_INSTRUCTIONS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm")


def processor_from_cpuinfo(text: str) -> str:
    """Of `/proc/cpuinfo`, as "AMD EPYC (avx2 avx512_vnni)"; "unknown" where it says nothing."""
    fields = dict(re.findall(r"^([^\n\t:]+?)\s*:[ \t]*(.*)$", text, re.MULTILINE))
    name = fields.get("model name") or fields.get("Model") or "unknown"
    present = (fields.get("flags") or fields.get("Features") or "").split()
    found = " ".join(one for one in _INSTRUCTIONS if one in present)
    return f"{name} ({found})" if found else name
