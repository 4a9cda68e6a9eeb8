"""The live page as somebody at the beamline sees it, in Chromium."""

import time
from dataclasses import replace

import pytest

from xasnn_stream.estimate import Extent, Shape, Size
from xasnn_stream.spectrum import Reason

from .series import E0, final, partial

HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"


def with_profile(estimate, profile):
    provenance = replace(estimate.provenance, profile=profile)
    return replace(estimate, id=profile.ljust(32, "0"), provenance=provenance)


def test_the_page_loads_from_the_daemon_alone_and_complains_of_nothing(site, page):
    page.open()
    page.shows("#verdict", "no result yet")
    page.shows("#connection", "connected")
    assert page.text("#age") == "none yet"
    site.add(final(1))
    page.drawn()
    page.wait_for("document.documentElement.dataset.spectrum == '1'")
    requested = [u for u in page.chromium.requested if not u.startswith("data:")]
    assert len(requested) > 10
    assert [url for url in requested if not url.startswith(site.url)] == []
    assert page.chromium.errors == []


def test_results_appear_as_they_come_with_verdict_values_and_intervals(site, page):
    page.open()
    site.add(final(1), final(2, sample="Pt/Al2O3"))
    page.drawn()
    assert page.text("#verdict .word") == "ok"
    assert "scan 2 · Pt/Al2O3 · Pt L3" in page.text("#which")
    assert page.scans() == ["2", "1"]
    row = page.text("tbody tr")
    assert "4.9 (3.9–5.8)" in row
    assert "2.765 (2.762–2.768)" in row
    assert "58 ms" in row
    assert page.text("#latency").startswith("58 ms")
    assert page.curve_end() > 0.9
    trends = "document.querySelectorAll('#trends canvas').length"
    assert page.chromium.value(trends) == 5
    assert page.chromium.errors == []


def test_what_was_done_to_readings_is_said_with_the_spectrum(site, page):
    plain = final(1)
    quality = replace(
        plain.quality,
        n_masked=4,
        n_merged=1,
        e0_shift_ev=-0.62,
        e0_shift_std_ev=0.014,
    )
    left_out = (11500.0, 11575.24, 11624.0, 11800.0)
    page.open()
    site.add(replace(plain, quality=quality, masked_ev=left_out))
    page.shows("#progress", "4 points left out at 11500.0, 11575.2, 11624.0 … eV")
    text = page.text("#progress")
    assert "1 reading averaged into another of the same energy" in text
    assert "energy axis −0.62 ± 0.01 eV from the foil's" in text
    assert "corrected" not in text
    site.add(replace(final(2), quality=replace(quality, axis_corrected=True)))
    page.shows("#progress", "from the foil's, corrected")
    site.add(final(3))
    page.shows("#shown", "Scan 3")
    assert page.text("#progress").endswith(", ok")
    assert page.chromium.errors == []


def test_the_size_of_particles_is_said_with_the_spectrum(site, page):
    size = Size(
        atoms=Extent(245.0, (148.0, 450.0)),
        diameter=Extent(19.2, (16.2, 23.5), "angstrom"),
        shapes=(Shape("sphere", 1.0, 245.0, 21.0),),
        distinguishable=True,
        consistent=True,
        chi2=0.4,
        text="if all particles are alike: 240 atoms (150–450), 1.9 nm (1.6–2.3)",
    )
    page.open()
    site.add(replace(final(1), size=size))
    page.shows("#progress", size.text)
    site.add(final(2))
    page.shows("#shown", "Scan 2")
    assert "atoms" not in page.text("#progress")
    assert page.chromium.errors == []


def test_points_left_out_are_marked_where_they_were(site, page):
    quality = replace(final(1).quality, n_masked=1)
    for number, (shift, at) in enumerate(((0.0, E0 + 30), (60.0, E0 + 90)), 1):
        moved = replace(quality, e0_shift_ev=shift)
        site.add(replace(final(number), quality=moved, masked_ev=(at,)))
    site.add(final(3))
    page.open()
    page.wait_for("document.documentElement.dataset.spectrum == '3'")
    assert page.drawn_in("rejected") == []
    page.click("#back")
    page.wait_for("document.documentElement.dataset.spectrum == '2'")
    corrected = page.drawn_in("rejected")
    page.click("#back")
    page.wait_for("document.documentElement.dataset.spectrum == '1'")
    # Both are at E0 + 30 of the foil's axis: 60 of the 150 eV shown, right of the labels.
    assert page.drawn_in("rejected") == corrected
    assert 0.38 < corrected[0] <= corrected[-1] < 0.5
    assert corrected[-1] - corrected[0] < 0.01


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        ("caution", "3 event rows are missing"),
        ("outside", "Unlike every training spectrum"),
        ("rejected", "I0 is zero everywhere"),
    ],
)
def test_a_verdict_comes_with_its_reasons_as_sentences(site, page, verdict, sentence):
    site.add(final(1, verdict=verdict))
    page.open()
    assert page.text("#verdict .word") == verdict
    assert page.text("#reasons") == sentence
    assert page.chromium.errors == []


def test_a_spectrum_fills_in_while_it_is_measured_and_ends_in_its_result(site, page):
    site.add(final(1))
    page.open()
    ends = []
    for progress in (0.2, 0.5, 0.65):
        site.publish(partial(2, progress))
        page.shows("#progress", f"{progress:.0%}".replace("%", " % measured"))
        ends.append(page.curve_end())
    assert ends == sorted(ends)
    assert ends[-1] - ends[0] > 0.05
    assert "to normalize, more is needed" in page.text("#progress")
    site.publish(partial(2, 0.9))
    page.shows("#progress", "so far cn1")
    assert "Scan 2" in page.text("#shown")
    assert page.scans() == ["1"]
    site.add(final(2))
    page.drawn()
    page.wait_for("document.documentElement.dataset.spectrum == '2'")
    assert page.scans() == ["2", "1"]
    assert "% measured" not in page.text("#progress")
    assert page.chromium.errors == []


def test_of_a_run_of_many_sweeps_the_one_that_goes_on_is_shown(site, page):
    def sweep(of, number):
        run = replace(of.run, uid="many", sweep=number, progress=None)
        return replace(of, id=of.id and f"{number:032x}", run=run)

    page.open()
    site.add(sweep(final(7), 0))
    for number in (1, 2):
        # Of the first of these nothing comes: it was no sweep.
        site.publish(sweep(partial(7, 0.5), number))
        page.shows("#shown", f"sweep {number}")
    site.add(*[sweep(final(7), number) for number in (2, 3)])
    page.drawn()
    page.wait_for("document.documentElement.dataset.spectrum == '3'")
    assert "sweep 3" in page.text("#shown")
    assert page.scans() == ["7 · sweep 3", "7 · sweep 2", "7"]
    assert page.chromium.errors == []


def test_a_sweep_nobody_hears_of_any_more_gives_way_to_later_results(
    site, page, monkeypatch
):
    page.open()
    then = time.time() - 100
    with monkeypatch.context() as long_ago:
        long_ago.setattr("xasnn_stream.partials.time.time", lambda: then)
        site.publish(partial(2, 0.5))
    page.shows("#progress", "50 % measured")
    site.add(final(3))
    page.drawn()
    page.shows("#shown", "Scan 3")


def test_a_reload_shows_every_result_once(site, page):
    page.open()
    site.add(*[final(n) for n in range(1, 31)])
    page.drawn()
    site.publish(partial(31, 0.5))
    page.chromium.reload()
    page.drawn()
    page.shows("#progress", "50 % measured")
    assert page.scans() == [str(n) for n in range(30, 0, -1)]
    assert page.chromium.errors == []


def test_a_restart_of_the_daemon_loses_and_doubles_nothing(site, page, tmp_path):
    page.open()
    site.add(*[final(n) for n in range(1, 6)])
    site.publish(partial(6, 0.5))
    page.drawn()
    page.shows("#progress", "50 % measured")
    site.stop()
    page.shows("#alarm", "No connection to the daemon since")
    assert page.seen("#alarm")
    site.partials.end([final(6)])
    site.start(tmp_path)
    site.add(final(6), final(7))
    page.drawn()
    page.wait_for("document.getElementById('alarm').hidden")
    assert page.scans() == [str(n) for n in range(7, 0, -1)]
    assert "Scan 7" in page.text("#shown")
    # The browser itself notes each attempt that nobody answered.
    others = [e for e in page.chromium.errors if "ERR_CONNECTION_REFUSED" not in e]
    assert others == []


def test_another_log_at_the_same_address_replaces_what_was_shown(site, page, tmp_path):
    page.open()
    site.add(*[final(n) for n in range(1, 6)])
    page.drawn()
    site.stop()
    site.start(tmp_path / "emptied")
    site.add(*[final(n) for n in range(101, 107)])
    page.drawn()
    page.wait_for("document.querySelectorAll('tbody tr').length === 6")
    assert page.scans() == [str(n) for n in range(106, 100, -1)]


def test_names_out_of_documents_are_text_and_nothing_else(site, page):
    hostile = final(1, sample=HOSTILE, verdict="caution")
    descriptors = dict(hostile.descriptors)
    descriptors[HOSTILE] = descriptors["__proto__"] = descriptors["cn1"]
    hostile = replace(
        hostile,
        descriptors=descriptors,
        reasons=(Reason("x", HOSTILE), Reason("y", "")),
    )
    run = replace(partial(2, 0.5).run, uid=HOSTILE, scan_id=None)
    site.add(hostile)
    site.publish(replace(partial(2, 0.5), sample=HOSTILE, run=run))
    site.waits_for = [HOSTILE]
    page.open()
    page.shows("#progress", "50 % measured")
    page.shows("#notice", HOSTILE)
    assert HOSTILE in page.text("#which")
    assert HOSTILE in page.text("#reasons")
    assert HOSTILE in page.text("tbody")
    assert page.chromium.value("window.hacked") is None
    assert page.chromium.value("document.querySelectorAll('img').length") == 0
    assert page.chromium.errors == []


def test_a_complete_result_strikes_the_incomplete_one_out(site, page):
    first = final(1, verdict="caution", complete=False)
    site.add(first, final(2))
    page.open()
    site.add(final(1))
    page.drawn()
    assert page.scans() == ["1", "2", "1"]
    struck = "[...document.querySelectorAll('tbody tr')].map(r => r.matches('.void'))"
    assert page.chromium.value(struck) == [False, False, True]


def test_any_result_can_be_looked_at_again_by_mouse_and_keyboard(site, page):
    site.add(*[final(n) for n in range(1, 61)])
    page.open()
    assert "Scan 60" in page.text("#shown")
    # So old that its arrays have to be fetched.
    page.click("tbody tr:nth-child(30) button")
    page.press("ArrowLeft")
    page.press("ArrowLeft")
    page.wait_for("document.documentElement.dataset.spectrum == '29'")
    assert "Scan 29" in page.text("#shown")
    page.press("ArrowRight")
    page.shows("#shown", "Scan 30")
    page.click("#back")
    page.shows("#shown", "Scan 29")
    site.add(final(61))
    page.drawn()
    assert "Scan 29" in page.text("#shown")
    page.press("Escape")
    page.shows("#shown", "Scan 61")
    assert page.chromium.errors == []


def test_a_click_on_a_point_shows_the_spectrum_of_its_result(site, page):
    site.add(*[final(n) for n in range(1, 12)])
    page.open()
    box = page.chromium.value(
        "(b => [b.left, b.top, b.width, b.height])"
        "(document.querySelector('#trends .u-over').getBoundingClientRect())"
    )
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        page.chromium.call(
            "Input.dispatchMouseEvent",
            type=kind,
            x=x,
            y=y,
            button="none" if kind == "mouseMoved" else "left",
            clickCount=1,
        )
    page.shows("#shown", "Scan 6")


def test_results_of_one_profile_can_be_picked_out(site, page):
    site.add(with_profile(final(1), "step"), with_profile(final(2), "quick"))
    page.open()
    assert page.seen("#profile")
    choose = "p => { p.value = 'step'; p.dispatchEvent(new Event('change')); }"
    page.chromium.value(f"({choose})(document.getElementById('profile'))")
    page.wait_for("document.querySelectorAll('tbody tr').length === 1")
    assert page.scans() == ["1"]
    assert "scan 1" in page.text("#which")


def test_what_has_no_number_is_shown_as_a_dash(site, page):
    whole = final(1)
    nothing = replace(whole.descriptors["cn1"], value=float("nan"), interval=None)
    bare = replace(
        whole,
        sample=None,
        time=(float("nan"), float("nan")),
        descriptors={"cn1": nothing, "latent_1": whole.descriptors["r1"]},
        arrays={k: v * float("nan") for k, v in whole.arrays.items()},
    )
    site.add(bare)
    page.open()
    assert page.text("tbody td.number") == "–"
    assert "unnamed sample" in page.text("#which")
    assert page.chromium.errors == []


def test_thousands_of_results_are_more_than_the_page_keeps(site, page):
    site.add(*[final(n) for n in range(1, 1501)])
    page.open()
    assert page.scans() == [str(n) for n in range(1500, 1470, -1)]
    site.add(*[final(n) for n in range(1501, 2101)])
    page.drawn()
    assert page.scans()[0] == "2100"
    assert len(page.scans()) == 30


def test_the_state_of_the_daemon_is_said_in_words(site, page):
    counters, source = site.counters, "zmq://127.0.0.1:5568"
    site.status |= {
        "sources": [source],
        "models": {"sim": {"name": "pt-l3-xanes", "sha256": "a" * 64, "device": "cpu"}},
    }
    site.waits_for = [f"{source} is not connected"]
    counters.set("source_connected", 0, source=source)
    counters.set("queue_depth", 7, queue="documents")
    counters.set("sink_pending", 3, sink="tiled")
    counters.add("documents_missed_total", 1, source=source)
    counters.add("rows_missed_total", 12, source=source)
    counters.add("estimates_total", 4, verdict="caution")
    # Far from this clock: ages are told by the daemon's.
    counters.set("last_document_timestamp_seconds", 1.0)
    page.open()
    page.shows("#notice", f"Not ready: {source} is not connected")
    assert page.text("#backlog").split("\n") == ["7 documents", "3 for tiled"]
    assert page.text("#missed").split("\n") == ["1 document", "12 rows"]
    assert page.text("#counts") == "4 caution"
    assert "not connected" in page.text("#sources")
    assert "aaaaaaaa on cpu, profile sim" in page.text("#model")
    assert " d " in page.text("#age")
    assert page.text("#about") == "xasnn-stream 0.1.0"


def test_a_model_of_several_profiles_is_named_once(site, page):
    model = {"name": "pt-l3-xanes", "sha256": "a" * 64, "device": "cpu"}
    other = {"name": "pd-k-xanes", "sha256": "b" * 64, "device": "cpu"}
    site.status |= {"models": {"step": model, "palladium": other, "fly": model}}
    page.open()
    assert page.text("#model").split("\n") == [
        "pt-l3-xanes",
        "aaaaaaaa on cpu, profiles step, fly",
        "pd-k-xanes",
        "bbbbbbbb on cpu, profile palladium",
    ]


def test_the_page_fits_a_phone(site, page):
    site.add(*[final(n, sample="a sample with a long name " * 8) for n in range(1, 9)])
    page.open()
    page.chromium.view(390, 844, dark=True)
    page.wait_for("document.querySelector('#spectrum-plot canvas').clientWidth < 390")
    assert page.chromium.value("document.documentElement.scrollWidth") <= 390
