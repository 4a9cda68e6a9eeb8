"""The result log: one append-only SQLite file, the only durable state.

Its row number `seq` is *the* sequence of results. Every consumer follows it with a
cursor of its own, so delivery is at least once; consumers deduplicate by `id`, so the
effect is once.
"""

from xasnn_stream.results.log import LOG_NAME, ResultLog
from xasnn_stream.results.rows import Delivery

__all__ = ["LOG_NAME", "Delivery", "ResultLog"]
