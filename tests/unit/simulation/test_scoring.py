import pytest

from xasnn_stream.simulation.scoring import Sighting, summarize


def _seen(truth, value, half_width, *, latency_s=0.1, in_tiled=True):
    cn1 = {
        "value": value,
        "interval": [value - half_width, value + half_width],
        "level": 0.9,
    }
    return Sighting(
        truth={"cn1": truth},
        estimate={"verdict": "ok", "descriptors": {"cn1": cn1}},
        latency_s=latency_s,
        stop_to_feed_s=2 * latency_s,
        in_tiled=in_tiled,
    )


def test_errors_coverage_and_widths_are_those_of_cn1():
    summary = summarize(
        [_seen(9.0, 9.2, 0.5), _seen(8.0, 7.9, 0.4), _seen(7.0, 8.0, 0.6)]
    )

    assert summary.median_error_cn1 == pytest.approx(0.2)
    assert summary.coverage_cn1 == pytest.approx(2 / 3)
    assert summary.median_width_cn1 == pytest.approx(1.0)
    assert summary.level == 0.9
    assert summary.verdicts == {"ok": 3}
    assert summary.complete


def test_latencies_are_quantiles():
    seen = [_seen(9.0, 9.0, 1.0, latency_s=k / 100) for k in range(101)]
    summary = summarize(seen)

    assert summary.latency_p50_s == pytest.approx(0.5)
    assert summary.latency_p95_s == pytest.approx(0.95)
    assert summary.stop_to_feed_p95_s == pytest.approx(1.9)


@pytest.mark.parametrize(
    "missing", [Sighting({"cn1": 9.0}), _seen(9.0, 9.0, 1.0, in_tiled=False)]
)
def test_a_series_with_a_missing_result_is_not_complete(missing):
    assert not summarize([_seen(9.0, 9.0, 1.0), missing]).complete


def test_a_rejected_sweep_counts_but_has_no_numbers():
    rejected = Sighting(
        {"cn1": 9.0}, {"verdict": "rejected", "descriptors": {}}, 0.1, 0.1, True
    )
    summary = summarize([rejected])

    assert summary.complete
    assert summary.verdicts == {"rejected": 1}
    assert summary.median_error_cn1 is None
    assert summary.document()["coverage_cn1"] is None


def _oxidized(share, verdict):
    estimate = {"verdict": verdict, "descriptors": {}}
    return Sighting({"cn1": 9.0, "oxidized": share}, estimate, 0.1, 0.1, True)


def test_verdicts_on_oxidized_sweeps_are_counted_by_the_truth():
    summary = summarize(
        [
            *(_oxidized(0.3, "outside"), _oxidized(1.0, "ok")),
            *(_oxidized(0.0, "ok"), _oxidized(0.29, "caution")),
            *(_oxidized(0.1, "outside"), Sighting({"cn1": 9.0})),
        ]
    )
    assert (summary.oxidized, summary.oxidized_ok) == (2, 1)
    assert summary.others_usable == pytest.approx(2 / 4)


def test_accuracy_is_that_of_sweeps_without_oxide():
    metal = _seen(9.0, 9.2, 0.5)
    oxide = _seen(9.0, 12.0, 0.5)
    oxide.truth["oxidized"] = 0.2
    summary = summarize([metal, oxide])
    assert summary.metallic == 1
    assert summary.median_error_cn1 == pytest.approx(0.2)
