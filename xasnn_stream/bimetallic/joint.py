"""Two estimates of one sample, an edge each, as one: the document `xasnn.bimetallic/1`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from xasnn_stream.bimetallic.intervals import (
    LEVEL,
    correlation_of,
    covariance_of,
    intervals_of,
    side_by_side,
)
from xasnn_stream.bimetallic.reconcile import CRITICAL_CHI2, Reconciled, reconcile
from xasnn_stream.estimate import Estimate, Reason, Verdict
from xasnn_stream.manifest import Manifest
from xasnn_stream.spectrum import FloatArray

SCHEMA = "xasnn.bimetallic/1"

_WORST_FIRST: tuple[Verdict, ...] = ("rejected", "outside", "caution", "ok")


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """What both edges say together; `names` (4) in the order of `numbers`.

    `composition` holds the shares that were given, by element, None where none were.
    """

    estimates: tuple[Estimate, Estimate]
    names: tuple[str, ...]
    numbers: Reconciled
    composition: Mapping[str, float] | None
    verdict: Verdict
    reasons: tuple[Reason, ...]

    @property
    def descriptors(self) -> dict[str, dict[str, Any]]:
        """Values with standard deviations and 90 % intervals, inside the bounds."""
        std = np.sqrt(np.diag(self.numbers.covariance).clip(min=0.0))
        low, high = intervals_of(self.numbers.values, self.numbers.covariance)
        return {
            name: {
                "value": float(self.numbers.values[k]),
                "std": float(std[k]),
                "interval": [float(low[k]), float(high[k])],
                "level": LEVEL,
                "unit": "",
            }
            for k, name in enumerate(self.names)
        }

    def document(self) -> dict[str, Any]:
        """Return the JSON form; what cannot be told is None."""
        first, second = self.estimates
        share, std = self.numbers.share_b, self.numbers.share_b_std
        told = not math.isnan(share)
        return {
            "schema": SCHEMA,
            "estimates": [first.id, second.id],
            "sources": [first.run.source, second.run.source],
            "sample": first.sample,
            "edges": [f"{each.element} {each.edge}" for each in self.estimates],
            "composition": None if self.composition is None else dict(self.composition),
            "implied_composition": {first.element: 1 - share, second.element: share}
            if told
            else None,
            "implied_composition_std": std if told else None,
            "descriptors": self.descriptors,
            "covariance": self.numbers.covariance.tolist(),
            "chi2": self.numbers.chi2,
            "verdict": self.verdict,
            "reasons": [asdict(reason) for reason in self.reasons],
            "provenance": {
                "model": first.provenance.model,
                "model_sha256": first.provenance.model_sha256,
                "package": first.provenance.package,
            },
        }


def joint_names(first: str, second: str) -> tuple[str, str, str, str]:
    """Return the four partial coordination numbers of two elements.

    >>> joint_names("Pd", "Au")
    ('cn_pd_pd', 'cn_pd_au', 'cn_au_au', 'cn_au_pd')
    """
    a, b = first.lower(), second.lower()
    return f"cn_{a}_{a}", f"cn_{a}_{b}", f"cn_{b}_{b}", f"cn_{b}_{a}"


def can_join(models: Sequence[Manifest]) -> bool:
    """Return whether a model's parts read the two edges of an alloy."""
    if len(models) != 2 or models[0].element == models[1].element:
        return False
    names = joint_names(models[0].element, models[1].element)
    return all(
        set(names[2 * k : 2 * k + 2]) <= set(model.descriptors)
        for k, model in enumerate(models)
    )


def join(
    estimates: tuple[Estimate, Estimate],
    models: tuple[Manifest, Manifest],
    composition: Mapping[str, float] | None,
) -> Joint | None:
    """Return the joint estimate, None if an edge has no numbers to join.

    `models` are those that read the edges, in the same order; see `can_join`. The edges
    are measured apart, so their errors are taken as independent; those of one edge are
    correlated as its model found on particles it never saw.
    """
    first, second = (estimate.element for estimate in estimates)
    names = joint_names(first, second)
    values: list[float] = []
    covariances: list[FloatArray] = []
    of_edges = (names[:2], names[2:])
    for estimate, model, own in zip(estimates, models, of_edges, strict=True):
        found = [estimate.descriptors.get(name) for name in own]
        known = [each for each in found if each is not None and each.interval]
        if len(known) < len(own) or not all(math.isfinite(e.value) for e in known):
            return None
        own_values = np.array([each.value for each in known])
        low, high = np.array([each.interval for each in known]).T
        calibration = model.document["calibration"]
        correlation = correlation_of(calibration, model.descriptors, own)
        values += own_values.tolist()
        covariances.append(covariance_of(own_values, low, high, correlation))
    share = None if composition is None else composition[second]
    numbers = reconcile(np.array(values), side_by_side(*covariances), share)
    verdict, reasons = _judged(estimates, numbers)
    return Joint(estimates, names, numbers, composition, verdict, reasons)


def _judged(
    estimates: tuple[Estimate, Estimate], numbers: Reconciled
) -> tuple[Verdict, tuple[Reason, ...]]:
    reasons = [
        Reason(reason.code, f"{estimate.element} {estimate.edge}: {reason.text}")
        for estimate in estimates
        for reason in estimate.reasons
    ]
    verdict: Verdict = next(
        v for v in _WORST_FIRST if v in {e.verdict for e in estimates}
    )
    if not numbers.consistent:
        reasons.append(
            Reason(
                "inconsistent",
                "the edges, or the composition, contradict each other: χ² "
                f"{numbers.chi2:.1f}, above {CRITICAL_CHI2:g} in one of a hundred",
            )
        )
        verdict = "caution" if verdict == "ok" else verdict
    return verdict, tuple(reasons)
