"""One estimate of both edges of an alloy, from a scan of each."""

from collections.abc import Iterator

from xasnn_stream.analysis.analyze import Result
from xasnn_stream.bimetallic.composition import read_composition
from xasnn_stream.bimetallic.joint import Joint, can_join, join
from xasnn_stream.errors import UsageError
from xasnn_stream.manifest import read_parts
from xasnn_stream.shipped import model_part


class Both:
    """Collects the results of a model's two edges until all files are read.

    Raises UsageError if a composition is given that is none of the model's elements.
    """

    def __init__(self, model: str | None, composition: str | None) -> None:
        parts = read_parts(model_part(model)[0]) if model else ()
        self._models = parts if can_join(parts) else ()
        self._results: list[list[Result]] = [[] for _ in self._models]
        self._composition = None
        if composition is not None:
            if not self._models:
                raise UsageError(
                    "--composition is for a --model that reads both edges of an alloy"
                )
            first, second = (part.element for part in self._models)
            self._composition = read_composition(composition, (first, second))

    def add(self, result: Result) -> None:
        """Keep a result if it is of one of the edges."""
        for part, found in zip(self._models, self._results, strict=True):
            if result.model.part == part.part:
                found.append(result)

    def joined(self) -> Iterator[Joint | str]:
        """Yield a joint estimate per pair of scans, or a sentence why there is none.

        The first scan of one edge belongs to the first of the other, and so on. Scans of
        one edge alone are nothing to join.
        """
        if not self._models or not all(self._results):
            return
        first, second = self._results
        if len(first) != len(second):
            counts = ", ".join(
                f"{len(found)} of {part.element} {part.edge}"
                for part, found in zip(self._models, self._results, strict=True)
            )
            yield f"no joint estimate: scans must come in pairs, and there are {counts}"
            return
        for pair in zip(first, second, strict=True):
            estimates = (pair[0].estimate, pair[1].estimate)
            found = join(estimates, (pair[0].model, pair[1].model), self._composition)
            names = " and ".join(str(result.file) for result in pair)
            yield found or f"no joint estimate of {names}: one has no numbers"
