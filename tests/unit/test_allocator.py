"""Memory of one batch serves the next."""

import subprocess
import sys

import pytest

COUNT_FAULTS = """
import resource
import torch
from xasnn_stream.allocator import keep_freed_memory

if {keep}:
    assert keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        blocks = [torch.ones(2**20, dtype=torch.float64) for _ in range(8)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is changed")
def test_blocks_of_a_batch_are_not_given_back_before_the_next():
    kept, given_back = (
        int(
            subprocess.check_output([sys.executable, "-c", COUNT_FAULTS.format(keep=k)])
        )
        for k in (True, False)
    )
    pages = 10 * 8 * 2**20 * 8 // 4096
    assert kept < 0.01 * pages
    assert given_back > 10 * kept
