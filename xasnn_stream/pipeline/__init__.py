"""Joins the stations: documents → assembly → engine → result log.

One thread per source receives (`reception`), one assembles and forms micro-batches
(`pipeline`), one owns the device (`estimation`). Queues between them are bounded: a full
one holds back sources that can wait, and makes the others discard, which is counted and
later seen by assembly as a gap.
"""

from xasnn_stream.pipeline.estimation import Estimator
from xasnn_stream.pipeline.flow import Limits
from xasnn_stream.pipeline.pipeline import Pipeline

__all__ = ["Estimator", "Limits", "Pipeline"]
