"""What a person reads whose document is wrong."""

import pickle

import pytest

from penstock.config.loading import load
from penstock.errors import DocumentError
from support.documents import loaded, refusal


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("gateway: {maxBodyByte: 1}", "gateway.maxBodyByte: unknown key `maxBodyByte`; did you mean `maxBodyBytes`?"),
        ("gateway: {port: x}", "gateway.port: found 'x'; needed is a whole number"),
        ("gateway: {port: 99999}", "gateway.port: found the number 99999; it must be at most 65535"),
        ("gateway: {port: '80'}", "gateway.port: found '80'; needed is a whole number"),
        ("gateway: {port: true}", "gateway.port: found true; needed is a whole number"),
        ("gateway: {hold: 5}", "gateway.hold: found the number 5; needed is a map with the keys seconds, requests"),
        ("gateway: [1]", "gateway: found a list; needed is a map with the keys host, port,"),
        ("gateway: {hold: {seconds: soon}}", "gateway.hold.seconds: 'soon' is no duration; write seconds as a number"),
        ("gateway: {maxBodyBytes: 1Q}", "gateway.maxBodyBytes: '1Q' is no size; write bytes as a number"),
        ("gateway: {longestRequest: 0}", "gateway.longestRequest: found the number 0; it must be more than 0"),
        ("gateway: {cors: {allowOrigins: x}}", "gateway.cors.allowOrigins: found 'x'; needed is a list"),
        ("port: 8000", "port: unknown key `port`; it stands at `gateway.port`. Known are models, hardware"),
        (
            "qqq: 1",
            "qqq: unknown key `qqq`. Known are models, hardware, providers, gateway, accounts, weights, logging",
        ),
        ("logging: {level: warn}", "logging.level: found 'warn'; did you mean 'warning'? Allowed are debug, info"),
        ("logging: {level: 3}", "logging.level: found the number 3. Allowed are debug, info, warning, error"),
        ("models: 3", "models: found the number 3; needed is a map of keys and values"),
        ("models: {a: 3}", "models.a: found the number 3; needed is a map with the keys source, engine"),
        ("models: {a: {}}", "models.a.source: is missing; engine vllm needs weights, for example hf://"),
        ("models: {a: {source: s4://x/y}}", "models.a.source: 's4://x/y' has the unknown scheme 's4'; allowed are hf://"),
        (
            "models: {a: {engine: simulator, max_model_len: 3}}",
            "models.a.max_model_len: unknown key `max_model_len`; options of the engine stand under `options`. Known",
        ),
        ("models: {a: {engine: simulator, warmUp: 1}}", "models.a.warmUp: found the number 1; needed is true or false"),
        ("models: {a: {engine: simulator, env: {A: 1}}}", "models.a.env.A: found the number 1; needed is a text"),
        (
            "models: {a: {engine: simulator, options: {tokensPerSecond: 1}}}",
            "models.a.options.tokensPerSecond: unknown key `tokensPerSecond`; did you mean `tokens_per_second`?",
        ),
        (
            "models: {a: {engine: simulator, options: {fail_rate: 2}}}",
            "models.a.options.fail_rate: found the number 2; it must be at most 1",
        ),
        (
            "models: {a: {engine: simulator, options: {startup: x}}}",
            "models.a.options.startup: 'x' is no duration; write seconds",
        ),
        ("models: {a: {engine: simulator, options: {fail_rate: x}}}", "models.a.options.fail_rate: found 'x'; needed"),
        ("models: {a.b: {engine: vlm}}", r"models.a\.b.engine: found 'vlm'; did you mean 'vllm'? Allowed"),
        (r'{"a\nb": 1}', r"a\nb: unknown key `a\nb`"),
        ("models: {a: {engine: simulator, replicas: -1}}", "models.a.replicas.min: found the number -1; it must"),
    ],
)  # fmt: skip
def test_a_mistake_is_explained_at_its_place(tmp_path, text, sentence):
    assert refusal(tmp_path, text).startswith(f"penstock.yaml:1: {sentence}")


def test_every_mistake_is_listed_in_the_order_of_the_file(tmp_path):
    text = """\
    models:
      a:
        source: ""
        replicas: {min: 3, max: 2}
        hardware: l4
        options: {--x: 1}
        env: {1A: b}
      b:
        engine: simulator
        aliases: [a]
    gateway:
      port: 0
    """
    problems = refusal(tmp_path, text).splitlines()
    assert problems[0] == "The document has 7 problems:"
    assert [line.split(": ")[0] for line in problems[1:]] == [f"  penstock.yaml:{n}" for n in (3, 4, 5, 6, 7, 10, 12)]


def test_checks_of_several_sections_run_although_one_section_is_wrong(tmp_path):
    shown = refusal(
        tmp_path, "models: {a: {engine: simulator, hardware: gpu-l4}}\nhardware: {gpu-l5: 3}\ngateway: {port: 0}"
    )
    assert "models.a.hardware: 'gpu-l4' is no key of hardware; did you mean 'gpu-l5'? Known are cpu, gpu-l5" in shown
    assert "hardware.gpu-l5: found the number 3" in shown


def test_what_may_be_a_secret_is_not_shown(tmp_path):
    text = """\
    weights:
      hub: {token: hf_geheim, endpoint: "https://user:geheim@hub.example"}
      s3: {secretAccessKey: geheim}
    models:
      a: {engine: simulator, env: {API_KEY: [geheim]}}
    """
    shown = refusal(tmp_path, text)
    assert "geheim" not in shown
    assert "weights.hub.token: found a text of 9 characters; needed is a map with the keys env, file" in shown
    env = refusal(tmp_path, "weights: {hub: {token: {env: hf-geheim-1}}}")
    assert "geheim" not in env
    assert "no name of an environment variable" in env


def test_a_setting_that_may_hold_a_secret_is_named_by_its_key_alone(tmp_path):
    shown = refusal(tmp_path, "models: {}", ["weights.hub.token=hf_geheim", "weights.hub.token={geheim"])
    assert "geheim" not in shown.replace("'{geheim'", "")


def test_long_values_are_cut(tmp_path):
    shown = refusal(tmp_path, f"logging: {{level: {'x' * 5000}}}")
    assert "(5000 characters)" in shown
    assert len(shown) < 400
    assert len(refusal(tmp_path, f"{'x' * 900}: 1")) < 600


def test_an_error_survives_its_way_between_processes():
    with pytest.raises(DocumentError) as caught:
        load([], ["gateway.port=0"])
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_right_document_has_no_problems(tmp_path):
    assert loaded(tmp_path, "gateway: {port: 9}").gateway.port == 9
