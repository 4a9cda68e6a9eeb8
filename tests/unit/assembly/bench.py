"""What the assembler's tests work with."""

from xasnn_stream.assembly.assembler import Assembler
from xasnn_stream.assembly.patience import Patience
from xasnn_stream.telemetry.counters import Counters

from .documents import SETTINGS


class Bench:
    """An assembler with its counters, and a clock that only moves when told."""

    def __init__(self, *settings, **limits) -> None:
        self.counters = Counters()
        self.now_s = 0.0
        limits.setdefault("patience", Patience(late_s=0.0))
        self.assembler = Assembler(
            settings or (SETTINGS,), self.counters, clock=lambda: self.now_s, **limits
        )

    def receive(self, documents, source="zmq://a"):
        return [
            spectrum
            for name, doc in documents
            for spectrum in self.assembler.receive(name, doc, source)
        ]

    def rejected(self, reason):
        return self.counters.value("documents_rejected_total", reason=reason)

    def sweeps(self, outcome):
        return self.counters.value("sweeps_total", outcome=outcome)
