from __future__ import annotations

import pytest

from penstock.simulator.arguments import parse


def test_options_and_names_are_understood():
    words = ["--host", "0.0.0.0", "--port", "9", "--model", "m", "--served-model-name", "a", "b"]
    given = parse([*words, "--options-json", '{"time_to_first_token": "20ms"}', "--shutdown-timeout", "7"])
    assert given.names == ["a", "b"]
    assert given.options.time_to_first_token == 0.02
    assert (given.host, given.port, given.model, given.shutdown_timeout) == ("0.0.0.0", 9, "m", 7)


def test_the_model_is_the_name_where_none_is_given():
    assert parse(["--model", "m"]).names == ["m"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--model"),
        (["--model", "m", "--options-json", "{"], "no JSON"),
        (["--model", "m", "--options-json", "[]"], "the options"),
        (["--model", "m", "--options-json", '{"output_tokens": 0}'], "output_tokens"),
        (["--model", "m", "--shutdown-timeout", "-1"], "--shutdown-timeout"),
        (["--model", "m", "--port", "0"], "--port 0"),
    ],
)
def test_a_wrong_command_line_is_refused_in_words(arguments, said, capsys):
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
