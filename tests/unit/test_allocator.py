"""Memory of one batch serves the next."""

import os
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


GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""Where glibc starts; it moves both as it goes, differently in every process."""


def faults(*, keep):
    code = COUNT_FAULTS.format(keep=keep)
    command = [sys.executable, "-c", code]
    return int(subprocess.check_output(command, env=os.environ | GIVEN_BACK))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is changed")
def test_blocks_of_a_batch_are_not_given_back_before_the_next():
    # Fewer than one per page where the system gives out huge ones: at least one a block.
    blocks = 10 * 8
    given_back = faults(keep=False)
    assert given_back > blocks
    assert faults(keep=True) < 0.1 * given_back
