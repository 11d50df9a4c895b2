from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_FAULTS = """
import resource
from protos.heap import give_back_heap, keep_chunks_on_heap
{tune}
def chunks(times):
    for _ in range(times):
        held = [b"x" * (1 << 20) for _ in range(8)]
        del held
chunks(5)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
chunks(50)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
give_back_heap()
"""


def page_faults(tune: str) -> int:
    done = subprocess.run([sys.executable, "-c", _FAULTS.format(tune=tune)], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the heap of another C library is left alone")
def test_memory_of_chunks_is_reused_when_it_is_kept_on_the_heap() -> None:
    assert page_faults("keep_chunks_on_heap()") * 10 < page_faults("")
