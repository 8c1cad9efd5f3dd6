"""The JSON schema says what loading says, as far as a schema can."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from penstock.config import Document
from penstock.config.keys import key_of, sections_in
from penstock.config.loading import load
from penstock.config.schema import json_schema
from penstock.config.simulator import SimulatorOptions
from support.documents import SIMULATED, WHOLE, refusal

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.yaml") if not path.name.startswith("values-"))


@pytest.fixture(scope="module")
def schema():
    return json_schema()


@pytest.fixture(scope="module")
def validator(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


GOOD = {
    "the smallest": SIMULATED,
    "the empty": {},
    "one with most of what there is": yaml.safe_load(WHOLE),
    "shorthand": {"models": {"a": {"engine": "simulator", "replicas": 2}}},
    "units": {"gateway": {"longestRequest": "1h30m", "maxBodyBytes": "1.5Gi", "hold": {"seconds": 0.5}}},
    "fractions from --set": {"models": {"a": {"engine": "simulator", "options": {"fail_rate": "0.5"}}}},
    "secrets": {"weights": {"hub": {"token": {"env": "HF_TOKEN"}}}},
}
BAD = {
    "unknown key": "gateway: {maxBodyByte: 1}",
    "snake_case": "gateway: {max_body_bytes: 1}",
    "unknown section": "gatway: {}",
    "wrong type": "gateway: {port: x}",
    "text for a number": "gateway: {port: '80'}",
    "out of range": "gateway: {port: 0}",
    "unit": "gateway: {maxBodyBytes: 32Q}",
    "duration": "gateway: {longestRequest: soon}",
    "word": "logging: {level: warn}",
    "name of a model": "models: {'a b': {engine: simulator}}",
    "alias": "models: {a: {engine: simulator, aliases: ['']}}",
    "name of hardware": "hardware: {'-x': {}}",
    "no source": "models: {a: {engine: vllm}}",
    "no source by default": "models: {a: {}}",
    "options of the simulator": "models: {a: {engine: simulator, options: {tokensPerSecond: 3}}}",
    "two secrets": "weights: {hub: {token: {env: A, file: /b}}}",
    "no secret": "weights: {hub: {token: {}}}",
    "negative": "models: {a: {engine: simulator, replicas: -1}}",
    "unknown key below the shorthand": "models: {a: {engine: simulator, replicas: {minimum: 1}}}",
    "relative path": "weights: {cache: x}",
    "endpoint": "weights: {s3: {endpoint: x}}",
}


@pytest.mark.parametrize("document", GOOD.values(), ids=GOOD.keys())
def test_what_loads_is_valid(validator, document):
    validator.validate(document)
    load([], base=document)


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_what_is_refused_is_not_valid(validator, tmp_path, text):
    assert not validator.is_valid(yaml.safe_load(text))
    assert refusal(tmp_path, text)


def test_every_example_is_valid_and_loads(validator):
    for path in EXAMPLES:
        validator.validate(yaml.safe_load(path.read_text()))
        load([path])


def test_every_section_refuses_unknown_keys_and_describes_its_own(schema):
    definitions = {**schema["$defs"], "Document": schema}
    for section in [*sections_in(Document), SimulatorOptions]:
        described = definitions[section.__name__]
        described = described if "properties" in described else described["anyOf"][1]
        assert described["additionalProperties"] is False
        for name, field in section.model_fields.items():
            entry = described["properties"][key_of(name, field)]
            assert entry.get("description") or "$ref" in entry, f"{section.__name__}.{name}"


def test_defaults_are_written_as_one_would_write_them(schema):
    gateway = schema["$defs"]["Gateway"]["properties"]
    cors = schema["$defs"]["Cors"]["properties"]
    assert (gateway["maxBodyBytes"]["default"], gateway["longestRequest"]["default"]) == ("32Mi", "10m")
    assert (gateway["port"]["default"], cors["allowHeaders"]["default"]) == (
        8000,
        ["*"],
    )


def test_every_default_is_valid_where_it_stands(schema, validator):
    for name, described in schema["$defs"].items():
        entries = described.get("properties") or described["anyOf"][1]["properties"]
        for key, entry in entries.items():
            if "default" in entry:
                validator.evolve(schema={**entry, "$defs": schema["$defs"]}).validate(entry["default"]), (name, key)


def test_the_schema_is_json_and_new_each_time(schema):
    json_schema()["properties"].clear()
    assert json.loads(json.dumps(json_schema())) == schema
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert '"title"' not in json.dumps(schema["$defs"])
