import json
import logging

import pytest

from xasnn_stream.telemetry.logging import set_up_logging


@pytest.fixture(autouse=True)
def _restore_logging():
    root, ours = logging.getLogger(), logging.getLogger("xasnn_stream")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    for logger, level in zip((root, ours), levels, strict=True):
        logger.setLevel(level)


def log_an_exception():
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logging.getLogger("xasnn_stream.test").exception("it failed\nbadly")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_record_is_one_line_even_with_a_traceback(capsys, log_format):
    set_up_logging(log_format)
    log_an_exception()
    (line,) = capsys.readouterr().err.splitlines()
    assert "it failed" in line
    assert "ZeroDivisionError" in line


def test_json_lines_hold_what_happened_and_where(capsys):
    set_up_logging("json")
    log_an_exception()
    record = json.loads(capsys.readouterr().err)
    assert record["message"] == "it failed\nbadly"
    assert (record["level"], record["thread"]) == ("ERROR", "MainThread")
    assert record["logger"] == "xasnn_stream.test"
    assert record["time"].endswith("Z")


def test_libraries_are_heard_only_from_warnings_on(capsys):
    set_up_logging("text")
    logging.getLogger("numexpr.utils").info("NumExpr defaulting to 2 threads.")
    logging.getLogger("httpx").warning("slow")
    logging.getLogger("xasnn_stream.daemon").info("reading")
    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition(": ")[2] for line in lines] == ["slow", "reading"]
