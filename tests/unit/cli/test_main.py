import errno
import os
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest

from xasnn_stream import errors
from xasnn_stream.cli import main as command


@pytest.fixture
def failing(monkeypatch):
    """A function that makes the only command raise an error."""

    def raising(error):
        def register(subparsers):
            def run(arguments):
                raise error

            subparsers.add_parser("fail").set_defaults(run=run)

        module = types.ModuleType("xasnn_stream.cli.fail")
        module.register = register
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(command, "COMMANDS", ("fail",))
        return command.main(["fail"])

    return raising


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ProfileError("x"), 2),
        (errors.ModelError("x"), 2),
        (errors.UsageError("x"), 2),
        (errors.FoilError("x"), 2),
        (errors.SourceError("x"), 1),
        (errors.SinkError("x"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_becomes_its_exit_code_and_one_line(failing, capsys, error, code):
    assert failing(error) == code
    written = capsys.readouterr()
    assert written.out == ""
    assert len(written.err.splitlines()) == (0 if code == 130 else 1)


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("torch", "engine"),
        ("tiled.client", "daemon"),
        ("httpx", "daemon"),
        ("bluesky", "sim"),
        ("matplotlib.pyplot", "files"),
        ("h5py", "files"),
    ],
)
def test_a_missing_extra_is_named(failing, capsys, module, extra):
    assert failing(ModuleNotFoundError("no", name=module)) == 1
    assert f"xasnn-stream[{extra}]" in capsys.readouterr().err


DISTRIBUTED_AS = {"sklearn": "scikit-learn"}


def test_an_extra_that_is_named_brings_the_module():
    pyproject = Path(__file__).parents[3] / "pyproject.toml"
    extras = tomllib.loads(pyproject.read_text())["project"]["optional-dependencies"]
    lacking = {
        module: extra
        for module, extra in command._EXTRAS.items()
        if DISTRIBUTED_AS.get(module, module.replace("_", "-"))
        not in " ".join(extras[extra])
    }
    assert lacking == {}


def test_a_bug_is_not_dressed_up(failing):
    with pytest.raises(ModuleNotFoundError):
        failing(ModuleNotFoundError("no", name="unheard_of"))
    with pytest.raises(ZeroDivisionError):
        failing(ZeroDivisionError())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENAMETOOLONG, "File name too long", "x" * 300), 2),
        (OSError(errno.ENOSPC, "No space left on device"), 1),
    ],
)
def test_what_the_system_refuses_is_one_sentence(failing, capsys, error, code):
    assert failing(error) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert error.strerror in line


def test_a_terminal_of_an_old_encoding_gets_escapes():
    done = subprocess.run(
        [sys.executable, "-m", "xasnn_stream", "analyze", "--help"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert rb"ROLE=COLUMN,\u2026" in done.stdout


def test_help_and_client_load_nothing_heavy():
    look = (
        "import sys, contextlib, xasnn_stream.client\n"
        "from xasnn_stream.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        "heavy = {'torch', 'pydantic', 'tiled', 'bluesky', 'pandas', 'starlette'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, check=True
    )
    assert "replay" in done.stdout
    assert done.stderr.strip() == "[]"


def test_run_without_a_source_says_what_to_name(capsys, tmp_path):
    code = command.main(["run", "sim-step", "--state", str(tmp_path)])
    assert code == 2
    assert "--source zmq://" in capsys.readouterr().err


def test_replay_of_a_live_source_points_to_run(capsys, tmp_path):
    code = command.main(["replay", "sim-step", "zmq://127.0.0.1:9"])
    assert code in (1, 2)
    assert "live" in capsys.readouterr().err


def test_times_of_a_replay_are_epoch_seconds_or_dates(capsys):
    parse = command.parser().parse_args
    given = parse(["replay", "p", "s", "--since", "12.5", "--until", "2026-11-22T00Z"])
    assert (given.since, given.until) == (12.5, 1795305600.0)
    with pytest.raises(SystemExit) as refused:
        parse(["replay", "p", "s", "--since", "yesterday"])
    assert refused.value.code == 2
    assert "2026-11-22" in capsys.readouterr().err
