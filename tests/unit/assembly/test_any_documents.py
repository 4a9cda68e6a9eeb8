"""Whatever documents come, in whatever order: assembly never raises."""

from hypothesis import given, settings
from hypothesis import strategies as st

from xasnn_stream.assembly.assembler import Assembler
from xasnn_stream.assembly.patience import Patience
from xasnn_stream.telemetry.counters import Counters

from .documents import SETTINGS, scan

NAMES = ("start", "descriptor", "event", "event_page", "stop", "datum", "nonsense")

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def two_runs_in_trouble(draw):
    """Documents of two runs, interleaved, some lost, some twice."""
    runs = {uid: scan(uid, n_events=5, it=it) for uid, it in (("a", 1.0), ("b", 2.0))}
    counts = st.lists(st.integers(0, 2), min_size=8, max_size=8)
    sent = []
    for documents in runs.values():
        copies = draw(counts)
        sent.append(
            [d for d, n in zip(documents, copies, strict=True) for _ in range(n)]
        )
    mixed = []
    while sent[0] or sent[1]:
        which = draw(st.sampled_from([q for q in sent if q]))
        mixed.append(which.pop(0))
    return mixed


@given(two_runs_in_trouble())
@settings(max_examples=200, deadline=None)
def test_every_run_with_start_and_stop_ends_in_exactly_one_spectrum(documents):
    assembler = Assembler([SETTINGS], Counters(), patience=Patience(late_s=0.0))
    spectra = []
    for name, doc in documents:
        spectra += assembler.receive(name, doc, "source")

    for uid, it in (("a", 1.0), ("b", 2.0)):
        ends = {
            name
            for name, doc in documents
            if doc["uid"] == uid or (name == "stop" and doc["run_start"] == uid)
        }
        ours = [s for s in spectra if s.run.uid == uid]
        assert len(ours) == (ends == {"start", "stop"})
        for spectrum in ours:
            received = {
                doc["seq_num"]
                for name, doc in documents
                if name == "event" and doc["descriptor"] == f"{uid}-primary"
            }
            knows_stream = any(doc["uid"] == f"{uid}-primary" for _, doc in documents)
            n_rows = len(received) if knows_stream else 0
            assert spectrum.accounting.n_missed == 5 - n_rows
            assert spectrum.run.complete == (n_rows == 5)
            assert spectrum.energy_ev.tolist() == [
                11500.0 + seq_num for seq_num in sorted(received)
            ] * bool(knows_stream)
            assert all(
                (c == it).all() for c in [spectrum.channels.get("it", it)] if n_rows
            )


@st.composite
def damaged_scan(draw):
    """A scan in which any key of any document may hold anything."""
    documents = scan()
    for _ in range(draw(st.integers(1, 4))):
        _, doc = draw(st.sampled_from(documents))
        target = doc.get("data") if draw(st.booleans()) else doc
        if not isinstance(target, dict):
            target = doc
        target[draw(st.sampled_from([*sorted(target), "extra"]))] = draw(plain)
    return documents


@given(damaged_scan())
@settings(max_examples=300, deadline=None)
def test_a_damaged_document_never_raises(documents):
    assembler = Assembler([SETTINGS], Counters(), patience=Patience(late_s=0.0))
    spectra = []
    for name, doc in documents:
        spectra += assembler.receive(name, doc, "source")
    assembler.partials({"source"})
    spectra += assembler.close_open_runs("source")

    assert len(spectra) <= 1
    for spectrum in spectra:
        assert spectrum.run.final
        shapes = {column.shape for column in spectrum.channels.values()}
        assert shapes <= {spectrum.energy_ev.shape}
        assert (spectrum.problem is not None) == (not len(spectrum.channels))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(NAMES),
            st.dictionaries(
                st.sampled_from(
                    [
                        "uid",
                        "run_start",
                        "descriptor",
                        "seq_num",
                        "time",
                        "data",
                        "plan_name",
                        "num_events",
                        "name",
                    ]
                ),
                plain,
            ),
        )
    )
)
@settings(max_examples=200, deadline=None)
def test_documents_of_any_content_never_raise(documents):
    assembler = Assembler([SETTINGS], Counters(), patience=Patience(late_s=0.0))
    for name, doc in documents:
        assert assembler.receive(name, doc, "source") == []
