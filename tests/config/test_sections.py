"""What the sections of the document take and refuse."""

import pytest
from pydantic import ValidationError

from penstock.config import Document, Hardware, Model, Replicas, Source, parse_source
from penstock.config.simulator import SimulatorOptions
from support.documents import loaded, refusal


def section(text):
    return {
        "host": "gateway: {host: %s}",
        "origins": "gateway: {cors: {allowOrigins: %s}}",
        "headers": "gateway: {cors: {allowHeaders: %s}}",
        "hub": "weights: {hub: {endpoint: %s}}",
        "s3": "weights: {s3: {endpoint: %s}}",
        "cache": "weights: {cache: %s}",
        "token": "weights: {hub: {token: %s}}",
        "options": "models: {m: {source: hf://o/r, options: %s}}",
        "env": "models: {m: {source: hf://o/r, env: %s}}",
        "aliases": "models: {m: {engine: simulator, aliases: %s}}",
        "source": "models: {m: {source: %s}}",
        "replicas": "models: {m: {engine: simulator, replicas: %s}}",
        "name": "models: {%s: {engine: simulator}}",
        "hardware": "hardware: {%s: {}}",
        "resources": "hardware: {h: {resources: %s}}",
        "selector": "hardware: {h: {nodeSelector: %s}}",
        "tolerations": "hardware: {h: {tolerations: %s}}",
    }[text]


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("host", "0.0.0.0"), ("host", "'::'"), ("host", "'fe80::1'"), ("host", "gateway.example.com"),
        ("host", "localhost"), ("origins", "['*']"), ("origins", "['https://a.example:8443', 'http://localhost:3000']"),
        ("headers", "['*', x-request-id]"), ("hub", "https://hub.example/mirror"), ("s3", "http://127.0.0.1:9000"),
        ("s3", "'http://[::1]:9000'"), ("cache", "/var/cache"), ("cache", "~/weights"), ("token", "{env: HF_TOKEN}"),
        ("token", "{file: /run/secrets/hf}"), ("options", "{max_model_len: 1, pipeline-parallel-size: 2}"),
        ("options", "{compilation_config.level: 3, hf_overrides: {a: [1, null, 0.5]}}"), ("env", "{A_1: x, _b: ''}"),
        ("aliases", "[gpt-4o, org/name:tag]"), ("source", "pvc://claim/path"), ("source", "gs://bucket"),
        ("source", "hf://org/repo@v1.0"), ("replicas", "2"), ("replicas", "0"), ("replicas", "{min: 1, max: 3}"),
        ("name", "Qwen/Qwen3-8B"), ("hardware", "nvidia-l4"), ("hardware", "A100_80.gb"),
        ("resources", "{nvidia.com/gpu: 1, cpu: 500m, memory: 24Gi, ephemeral-storage: 1e3}"),
        ("resources", "{nvidia.com/gpu: '2', cpu: 0.25}"), ("selector", "{topology.kubernetes.io/zone: eu-1a, a: ''}"),
        ("tolerations", "[{operator: Exists}, {key: a, value: b, effect: NoExecute, tolerationSeconds: 30}]"),
    ],
)  # fmt: skip
def test_what_is_right_is_taken(tmp_path, part, value):
    assert loaded(tmp_path, section(part) % value)


@pytest.mark.parametrize(
    ("part", "value", "reason"),
    [
        ("host", "''", "gateway.host: '' is no host"), ("host", "'a b'", "is no host"), ("host", "'x:80'", "no host"),
        ("host", "999.1.1.1", "no host"), ("host", "http://x", "no host; write an address such as 127.0.0.1"),
        ("origins", "['https://a.example/']", "'https://a.example/' is no origin; write https://a.example"),
        ("origins", "[a.example]", "no origin; write scheme://host or"), ("origins", "['*', 'https://a']", "leave out"),
        ("origins", "['https://u:p@a']", "no origin"), ("origins", "['https://a:x']", "no origin"),
        ("origins", "['https://a:']", "no origin"), ("origins", "['https://ü']", "no origin"),
        ("headers", "['a b']", "'a b' is no name of a header"),
        ("hub", "hub.example", "'hub.example' is no endpoint"), ("hub", "ftp://x", "no endpoint"),
        ("hub", "'https://x?a=b'", "no endpoint"), ("s3", "'http://u:p@x'", "a secret never stands in the document"),
        ("s3", "a@b", "this is no endpoint"),
        ("cache", "weights", "'weights' is no absolute path; begin it with / or ~/"),
        ("token", "{}", "exactly one of env and file is needed"), ("token", "{env: A, file: /b}", "exactly one of"),
        ("token", "{file: b}", "no absolute path"), ("token", "{env: 'a b'}", "no name of an environment variable"),
        ("options", "{--max-model-len: 1}", "no name of an option; write `max-model-len`"),
        ("options", "{'': 1}", "'' is no name of an option"),
        ("options", "{a_b: 1, a-b: 2}", "models.m.options.a-b: this is 'a_b' in another spelling; keep one"),
        ("env", "{A-B: x}", "'A-B' is no name of an environment variable"),
        ("aliases", "['']", "an alias is empty"), ("aliases", "['a b']", "'a b' is no model name"),
        ("aliases", "[a, a]", "a stands twice"), ("aliases", "[m]", "models.m.aliases[0]: 'm' is the model's own name"),
        ("source", "''", "the source is empty"), ("source", "hf://", "names no repository"),
        ("source", "hf://o/r@", "an @ but no revision"), ("source", "s3:///x", "names no bucket"),
        ("source", "pvc://", "names no claim"), ("source", "file://x", "no absolute path after file://"),
        ("replicas", "{min: 4}", "min is 4 and max is 1, its default; max is at least min"),
        ("replicas", "{min: 4, max: 2}", "min is 4 and max is 2; max is at least min"),
        ("replicas", "{target: 2000}", "target is 2000 and limit is 1024, its default"),
        ("replicas", "{target: 3, limit: 2}", "target is 3 and limit is 2; target is at most limit"),
        ("replicas", "true", "needed is a map with the keys min, max, target, limit"),
        ("name", "'a b'", "'a b' is no model name"), ("name", "x" * 129, "is no model name"),
        ("hardware", "-l4", "no name for a label of Kubernetes"), ("hardware", "x" * 64, "at most 63"),
        ("resources", "{nvidia.com/gpu: 0.5}", "found '0.5'; devices are whole"),
        ("resources", "{cpu: lots}", "'lots' is no quantity"), ("resources", "{cpu: -1}", "'-1' is no quantity"),
        ("resources", "{cpu: true}", "needed is a number or a quantity"), ("resources", "{a b: 1}", "no name that Kub"),
        ("selector", "{/a: b}", "'/a' is no name that Kubernetes takes"), ("selector", "{a: b c}", "no name for a lab"),
        ("tolerations", "[{efect: NoSchedule}]", "tolerations[0].efect: unknown key `efect`. Known are key, operator"),
        ("tolerations", "[{effect: Never}]", "found 'Never'; allowed are NoSchedule, PreferNoSchedule, NoExecute"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_the_reason(tmp_path, part, value, reason):
    assert reason in refusal(tmp_path, section(part) % value)


def test_an_endpoint_loses_the_slash_at_its_end(tmp_path):
    assert loaded(tmp_path, "weights: {hub: {endpoint: https://hub.example/}}").weights.hub.endpoint.endswith("example")


def test_one_name_means_one_model(tmp_path):
    text = "models: {a: {engine: simulator, aliases: [x]}, b: {engine: simulator, aliases: [x, a]}}"
    shown = refusal(tmp_path, text)
    assert "models.b.aliases[0]: 'x' is an alias of 'a' already; a name means one model" in shown
    assert "models.b.aliases[1]: 'a' is the name of a model already" in shown


def test_the_alias_map_leads_every_name_to_its_model():
    models = {"a": Model(engine="simulator", aliases=["x", "y"]), "b": Model(engine="simulator")}
    assert Document(models=models).alias_map() == {"a": "a", "x": "a", "y": "a", "b": "b"}


def test_gpus_need_hardware_that_has_some(tmp_path):
    shown = refusal(tmp_path, "models: {a: {engine: simulator, gpus: 2}}")
    assert "models.a.gpus: found 2, but hardware 'cpu' has no GPU" in shown
    text = "models: {a: {engine: simulator, gpus: 2, hardware: h}}\nhardware: {h: {resources: {habana.ai/gaudi: 1}}}"
    document = loaded(tmp_path, text)
    assert document.gpus_of(document.models["a"]) == 2


def test_gpus_follow_from_the_hardware():
    document = Document(
        models={"a": Model(engine="simulator", hardware="h"), "b": Model(engine="simulator")},
        hardware={"h": Hardware(resources={"nvidia.com/gpu": 1}), "none": Hardware(resources={"nvidia.com/gpu": 0})},
    )
    assert [document.gpus_of(model) for model in document.models.values()] == [1, 0]
    assert not document.hardware["none"].has_gpu


def test_cpu_may_be_described_like_any_other_hardware():
    document = Document(
        models={"a": Model(engine="simulator")}, hardware={"cpu": Hardware(node_selector={"pool": "small"})}
    )
    assert document.hardware_of(document.models["a"]).node_selector == {"pool": "small"}


def test_a_number_of_replicas_means_exactly_that_many():
    assert Model(engine="simulator", replicas=3).replicas == Replicas(min=3, max=3)
    assert Model(engine="simulator", replicas=0).replicas == Replicas(min=0, max=1)


@pytest.mark.parametrize("options", [{"a": float("nan")}, {"a": {1: 2}}, {"a": [object()]}, {"a": {"b": {"c": b""}}}])
def test_options_that_no_command_line_could_carry_are_refused(options):
    with pytest.raises(ValidationError, match="the value is not JSON"):
        Model(source="hf://o/r", options=options)


def test_a_nul_in_a_variable_is_refused():
    with pytest.raises(ValidationError, match="NUL"):
        Model(source="hf://o/r", env={"A": "\0"})


def test_the_simulators_options_bear_their_own_names():
    options = SimulatorOptions.of({"time_to_first_token": "10ms", "tokens_per_second": "0.5", "crash_after": 3})
    assert (options.time_to_first_token, options.tokens_per_second, options.crash_after) == (0.01, 0.5, 3)
    assert options.model_dump(exclude_unset=True)["time_to_first_token"] == "10ms"


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("hf://o/r@v1", Source("hf", "o/r", revision="v1")),
        ("s3://b/p/q/", Source("s3", "b", "p/q")),
        ("file:///a/b", Source("file", "/a/b")),
        ("a/b", Source("file", "a/b")),
    ],
)
def test_sources_are_taken_apart_and_put_together(text, source):
    assert parse_source(text) == source
    assert parse_source(str(source)) == source if source.location != "a/b" else str(source) == "file://a/b"
