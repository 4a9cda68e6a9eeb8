import pytest

from xasnn_stream.cli.main import main, parser

RUN = ["run", "sim-step", "--feed", "none", "--http", "none"]


def test_pickle_from_an_address_that_is_no_source_is_one_sentence(capsys, tmp_path):
    options = ["--source", "zmq://127.0.0.1:1", "--state", str(tmp_path)]

    assert main([*RUN, *options, "--allow-pickle", "127.0.0.1:2"]) == 2

    message = capsys.readouterr().err.splitlines()[-1]
    assert "--allow-pickle 127.0.0.1:2 is none of the 0MQ sources" in message
    assert "127.0.0.1:1" in message


def test_several_addresses_may_be_allowed():
    options = ["--allow-pickle", "a:1", "--allow-pickle", "b:2"]
    assert parser().parse_args([*RUN, *options]).allow_pickle == ["a:1", "b:2"]


@pytest.mark.parametrize(
    ("text", "speed"), [("max", None), ("real", 1.0), ("10", 10.0), ("0.5", 0.5)]
)
def test_speeds_of_a_replay(text, speed):
    parse = parser().parse_args
    assert parse(["replay", "p", "s", "--speed", text]).speed == speed


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "fast"])
def test_other_speeds_are_refused(text, capsys):
    with pytest.raises(SystemExit) as refused:
        parser().parse_args(["replay", "p", "s", "--speed", text])
    assert refused.value.code == 2
    assert "max, real or a number" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [[*RUN, "--source", "zmq://127.0.0.1:1"], ["replay", "sim-step", "-"]]
)
def test_a_data_root_that_is_no_folder_is_one_sentence(command, capsys):
    assert main([*command, "--data-root", "/nowhere"]) == 2

    message = capsys.readouterr().err.splitlines()[-1]
    assert "--data-root /nowhere: there is no folder '/nowhere'" in message


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "soon"])
def test_files_are_waited_for_a_number_of_seconds(text, capsys):
    with pytest.raises(SystemExit) as refused:
        parser().parse_args([*RUN, f"--file-timeout={text}"])
    assert refused.value.code == 2
    assert "no number of seconds" in capsys.readouterr().err
