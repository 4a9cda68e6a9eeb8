import pytest

from xasnn_stream.assembly.assembler import Assembler
from xasnn_stream.pipeline import Limits, Pipeline
from xasnn_stream.results import ResultLog
from xasnn_stream.telemetry.counters import Counters

from .acting import SETTINGS, Engine


@pytest.fixture
def log(tmp_path):
    log = ResultLog(tmp_path / "results.sqlite")
    yield log
    log.close()


@pytest.fixture
def engine(make_estimate):
    return Engine(make_estimate)


@pytest.fixture
def pipeline_of(log, engine):
    """A function that starts a pipeline; it is stopped after the test."""
    started = []

    def start(*sources, limits=None, engine=engine, patience=None, **parts):
        counters = Counters()
        deaths = []
        pipeline = Pipeline(
            sources,
            Assembler([SETTINGS], counters, patience=patience),
            {"sim-step": engine},
            log,
            counters,
            lambda *death: deaths.append(death),
            limits or Limits(),
            **parts,
        )
        pipeline.start()
        started.append(pipeline)
        return pipeline, counters, deaths

    yield start
    for pipeline in started:
        pipeline.stop(10)
