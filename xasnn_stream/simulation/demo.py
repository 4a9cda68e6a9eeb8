"""The main job, shown: a simulated operando series, read live by a real daemon.

RunEngine → 0MQ proxy → daemon → Tiled and feed, each in a process of its own; the
raw runs go to Tiled as well, and to a file of JSON lines.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import httpx

from xasnn_stream.client import results, subscribe
from xasnn_stream.errors import SourceError
from xasnn_stream.library import read_library
from xasnn_stream.profile import load_profile
from xasnn_stream.shipped import shipped_folder
from xasnn_stream.simulation.beamline import Beamline, Draws, seeded
from xasnn_stream.simulation.experiment import experiment, run_plan
from xasnn_stream.simulation.foil import measure_foil
from xasnn_stream.simulation.processes import Children, ProcessError
from xasnn_stream.simulation.scoring import Sighting, Summary, summarize
from xasnn_stream.simulation.services import (
    RAW,
    Services,
    plan_services,
    start_daemon,
    start_proxy,
    start_tiled,
    wait_for_tiled,
)
from xasnn_stream.simulation.story import Chapter, held_out_particles, tell
from xasnn_stream.simulation.watching import Audience

PROFILE = "sim-step"
LIBRARY = Path("libraries") / "Pt_L3.npz"

SILENCE_S = 0.2
SUBSCRIBED_S = 30.0
RESULTS_S = 60.0
"""For the results of the last sweeps to arrive after the series."""


class Reporter(Protocol):
    """Whoever tells the user."""

    def note(self, text: str) -> None:
        """Say what is going on."""
        ...

    def ready(self, services: Services) -> None:
        """Announce that everything runs and the series begins."""
        ...

    def estimate(self, number: int, sighting: Sighting) -> None:
        """Show the result of a sweep as it arrives; called from another thread."""
        ...

    def summary(self, summary: Summary, services: Services) -> None:
        """Report the finished series."""
        ...


@dataclass(frozen=True, slots=True)
class Series:
    """The simulated beamtime and its story."""

    beamline: Beamline
    chapters: list[Chapter]


def run_demo(
    folder: Path, scans: int, seed: int, serve_on: bool, reporter: Reporter
) -> Summary:
    """Run the demonstration and return its summary; all processes have ended then.

    `folder` keeps logs, state and recorded documents. With `serve_on` the services
    stay up after the series until KeyboardInterrupt.

    Raises
    ------
    ProcessError
        If a process ends or does not become ready; names its log.
    """
    series = prepare_series(scans, seeded(seed))
    services = plan_services(folder)
    with Children(folder / "logs") as children:
        reporter.note(f"starting Tiled and the 0MQ proxy; logs in {folder / 'logs'}")
        start_tiled(children, services)
        start_proxy(children, services)
        reporter.note("measuring the reference foil")
        with experiment() as engine:
            measure_foil(engine, series.beamline, services.foil)
        wait_for_tiled(children, services)
        reporter.note("starting the daemon")
        start_daemon(children, services, PROFILE, backfill=services.raw)
        reporter.ready(services)
        summary = summarize(_run_series(children, services, series, reporter))
        reporter.summary(summary, services)
        if serve_on:
            _serve(children)
    return summary


def prepare_series(scans: int, draws: Draws) -> Series:
    """Tell the story of the model's held-out particles and set up its beamline."""
    models = shipped_folder("models")
    library = read_library(models / LIBRARY)
    particles = held_out_particles(models / load_profile(PROFILE).model)
    beamline = Beamline(library, draws)
    return Series(beamline, tell(library, particles, scans, draws.story))


def _run_series(
    children: Children, services: Services, series: Series, reporter: Reporter
) -> list[Sighting]:
    """Run every sweep; return what was seen of it on the feed and in Tiled."""
    with (
        _raw_folder(services) as raw,
        subscribe(services.feed, timeout_s=SILENCE_S) as subscription,
    ):
        if not subscription.ready(SUBSCRIBED_S):
            raise ProcessError(f"the feed {services.feed} does not answer")
        audience = Audience(subscription, reporter.estimate)
        audience.start()
        try:
            _measure(children, services, series, audience, raw)
            if not audience.wait(RESULTS_S):
                children.check()
        finally:
            audience.close()
    return _read_back(services, audience.sightings())


def _measure(
    children: Children,
    services: Services,
    series: Series,
    audience: Audience,
    raw: Any,
) -> None:
    outputs = {"publish": services.publish, "raw": raw, "record": services.record}
    with experiment(**outputs) as engine:
        engine.subscribe(audience.documents)
        for chapter in series.chapters:
            children.check()
            try:
                run_plan(engine, series.beamline.sweep(chapter))
            except httpx.HTTPError as error:
                children.check()
                raise ProcessError(f"Tiled did not take a raw run: {error}") from error


@contextmanager
def _raw_folder(services: Services) -> Iterator[Any]:
    from tiled.client import from_uri

    server = from_uri(services.tiled, api_key=services.api_key)
    try:
        yield server[RAW]
    finally:
        server.context.close()


def _read_back(services: Services, sightings: dict[str, Sighting]) -> list[Sighting]:
    """Mark the sweeps whose estimate on the feed is also the one in Tiled."""
    deadline = time.monotonic() + RESULTS_S
    return [
        replace(sighting, in_tiled=_is_stored(services, uid, sighting, deadline))
        for uid, sighting in sightings.items()
    ]


def _is_stored(
    services: Services, uid: str, sighting: Sighting, deadline: float
) -> bool:
    while sighting.estimate is not None:
        try:
            stored = results(uid, services.tiled, services.api_key)
        except SourceError:
            stored = []
        if stored:
            return [document["id"] for document in stored] == [sighting.estimate["id"]]
        if time.monotonic() > deadline:
            break
        time.sleep(SILENCE_S)
    return False


def _serve(children: Children) -> None:
    """Keep everything up until Ctrl-C; ProcessError if a process ends before."""
    try:
        while True:
            children.check()
            time.sleep(1.0)
    except KeyboardInterrupt:
        return
