from pathlib import Path

import pytest

from edge_client.bench.processor import processor_from_cpuinfo

X86 = "processor\t: 0\nmodel name\t: AMD EPYC 9R14\nflags\t\t: fpu avx2 avx512f avx512_vnni sse\n\nprocessor\t: 1\n"
ORIN = "processor\t: 0\nFeatures\t: fp asimd aes asimddp\nCPU implementer\t: 0x41\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (X86, "AMD EPYC 9R14 (avx2 avx512f avx512_vnni)"),
        (ORIN, "unknown (asimddp)"),
        ("", "unknown"),
        ("model name\t: 80386\nflags\t: fpu\n", "80386"),
    ],
)
def test_processor_is_named_with_what_matters(text: str, told: str) -> None:
    assert processor_from_cpuinfo(text) == told


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="no /proc/cpuinfo")
def test_this_processor_is_named() -> None:
    assert processor_from_cpuinfo(Path("/proc/cpuinfo").read_text()) != ""
