import pytest

from xasnn_stream import errors
from xasnn_stream.simulation import command


@pytest.mark.parametrize(
    ("error", "code"), [(errors.UsageError("x"), 2), (errors.SourceError("x"), 1)]
)
def test_work_that_failed_is_told_from_wrong_usage(monkeypatch, capsys, error, code):
    def measured(_):
        raise error

    monkeypatch.setattr(command, "measured_table", measured)
    assert command.main(["measured", "--data", "."]) == code
    assert capsys.readouterr().err == "x\n"
