"""Models and their states, paths, header lines, errors, origins: the pure parts."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import config
from penstock.board import Failure, Phase, PhaseMark, ReplicaReport
from penstock.config.gateway import Cors
from penstock.gateway import answers, cors, errors, headers, routes
from penstock.gateway.catalog import Catalog, ModelEntry, ModelState, derive_catalog, derive_state
from penstock.gateway.leases import Replica
from penstock.gateway.quarantine import FIRST, LONGEST, REMEMBERED, Quarantine
from penstock.gateway.tries import Tries


def report(phase: Phase, replica: str = "r1", **more: object) -> ReplicaReport:
    return ReplicaReport(model="demo", replica=replica, phases=[PhaseMark(phase=phase, at=1.0)], **more)  # type: ignore[arg-type]


def test_a_model_without_replicas_is_idle() -> None:
    state = derive_state([])
    assert (state.ready, state.status, state.known) == (False, "idle", True)


def test_the_replica_nearest_to_ready_speaks_for_the_model() -> None:
    state = derive_state([report(Phase.FETCHING, "a", detail="1 of 4 GiB"), report(Phase.QUEUED, "b")])
    assert (state.status, state.detail, state.ready) == ("fetching", "1 of 4 GiB", False)


def test_a_failed_replica_says_why_where_no_other_is_on_its_way() -> None:
    failed = report(Phase.FAILED, failure=Failure(cause="out of memory"))
    assert derive_state([failed]).detail == "out of memory"
    assert derive_state([failed, report(Phase.LOADING, "b")]).status == "loading"


def test_what_a_ready_replica_offers_is_what_the_model_offers() -> None:
    old = report(Phase.DRAINING, "a", endpoints=["/v1/completions"], max_model_len=1, updated=9.0)
    new = report(Phase.READY, "b", endpoints=["/v1/embeddings"], max_model_len=512)
    state = derive_state([old, new])
    assert (state.replicas_ready, state.max_model_len, state.endpoints) == (1, 512, {"/v1/embeddings"})


def test_reports_of_other_models_and_dead_replicas_do_not_count() -> None:
    models = {"demo": config.Model(engine="simulator")}
    other = ReplicaReport(model="other", replica="x", phases=[PhaseMark(phase=Phase.READY, at=1)])
    assert derive_catalog(models, [report(Phase.READY), other]).models["demo"].state.replicas_ready == 1
    assert derive_catalog(models, [report(Phase.READY)], alive=["r2"]).models["demo"].state.status == "idle"


def test_an_alias_is_listed_with_the_name_it_stands_for() -> None:
    catalog = derive_catalog({"org/demo": config.Model(engine="simulator", aliases=["gpt-4"])}, created=5.5)
    cards = {card["id"]: card for card in catalog.listing()["data"]}
    assert set(cards) == {"org/demo", "gpt-4"}
    assert (cards["gpt-4"]["root"], cards["gpt-4"]["created"]) == ("org/demo", 5)
    assert catalog.resolve("gpt-4") is catalog.resolve("org/demo")


def test_an_unknown_model_without_any_near_gets_the_list() -> None:
    catalog = Catalog(ModelEntry(f"m{number:02}") for number in range(30))
    with pytest.raises(errors.NotFoundError) as caught:
        catalog.resolve("zzzzzzzz")
    assert "Did you mean" not in caught.value.message
    assert caught.value.message.endswith("m19, ….")


def test_where_there_are_no_models_that_is_said() -> None:
    with pytest.raises(errors.NotFoundError, match="no models yet"):
        Catalog().resolve("demo")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"/v1/models/demo", "demo"),
        (b"/v1/models/org/demo", "org/demo"),
        (b"/v1/models/org%2Fdemo", "org/demo"),
        (b"/v1/models/demo/", "demo"),
        (b"/v1/models/%ff", "\ufffd"),
    ],
)
def test_the_id_of_a_model_may_hold_slashes(raw: bytes, expected: str) -> None:
    assert routes.model_id(raw) == expected


@given(st.text())
def test_any_path_has_a_route_or_is_told_what_there_is(path: str) -> None:
    route = routes.find_route(path)
    if route is None:
        assert routes.unknown_path(path).message


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completion", "/v1/chat/completions"),
        ("/v1/chat/completions/", None),
        ("/zzzz", "The API is under /v1"),
    ],
)
def test_an_unknown_path_gets_the_nearest(path: str, hint: str | None) -> None:
    if hint is None:
        assert routes.find_route(path) is not None
    else:
        assert routes.find_route(path) is None
        assert hint in routes.unknown_path(path).message


def test_another_spelling_is_asked_for_where_the_engine_has_only_that() -> None:
    route = routes.ROUTES["/rerank"]
    assert routes.engine_path(route, frozenset(), "/rerank") == "/rerank"
    assert routes.engine_path(route, frozenset({"/v1/rerank"}), "/rerank") == "/v1/rerank"
    assert routes.engine_path(route, frozenset({"/v1/chat/completions"}), "/rerank") is None


@given(st.lists(st.tuples(st.binary(min_size=1).map(bytes.lower), st.binary())))
def test_no_credential_of_the_client_reaches_the_engine(lines: list[headers.Header]) -> None:
    secret = [(b"authorization", b"s3cret"), (b"x-api-key", b"s3cret"), (b"cookie", b"s3cret"), (b"api-key", b"s3cret")]
    passed = headers.to_engine(
        [*secret, *lines, *secret],
        replica=Replica("r", "http://r", "token"),
        body_length=5,
        content_type=b"application/json",
        request_id=b"id",
    )
    assert [value for name, value in passed if name == b"authorization"] == [b"Bearer token"]
    assert all(value != b"s3cret" for _, value in passed)
    assert [value for name, value in passed if name == b"content-length"] == [b"5"]


def test_a_date_and_cookies_of_the_engine_stay_there() -> None:
    lines = [(b"date", b"x"), (b"set-cookie", b"x"), (b"proxy-authenticate", b"x"), (b"content-type", b"a")]
    assert headers.to_client(lines) == [(b"content-type", b"a")]


def all_errors() -> list[errors.GatewayError]:
    made: list[errors.GatewayError] = [errors.EngineRefusedError(418, "")]
    plain = [errors.BadRequestError, errors.ForbiddenError, errors.NotFoundError, errors.RequestTooSlowError]
    plain += [errors.TooLargeError, errors.UnsupportedMediaError, errors.HeadTooLargeError, errors.PathTooLongError]
    plain += [errors.BusyError, errors.UnavailableError, errors.EngineFailedError, errors.EngineTooSlowError]
    plain += [errors.EngineCrashedError]
    made += [kind("why") for kind in plain]
    return [*made, errors.MethodNotAllowedError("why", allow="GET"), errors.GatewayError("why")]


@pytest.mark.parametrize("error", all_errors(), ids=lambda error: type(error).__name__)
def test_every_error_has_both_forms(error: errors.GatewayError) -> None:
    openai = answers.error_object(error, "openai")["error"]
    assert set(openai) == {"message", "type", "param", "code"}
    anthropic = answers.error_object(error, "anthropic")
    assert anthropic["type"] == "error"
    assert anthropic["error"]["type"].endswith("_error") or anthropic["error"]["type"] == "request_too_large"
    assert dict(answers.error_headers(error))[b"x-penstock-layer"] in (b"gateway", b"pool", b"engine")


def test_an_engines_error_passes_unchanged_where_clients_read_openais() -> None:
    body = b'{"error" : {"message": "temperature", "type": "BadRequestError", "code": 400}}'
    assert answers.engine_error_body(body, 400, "openai") is body


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b'{"error":{"message":"too long","type":"Bad Request","code":400}}', 400, "invalid_request_error"),
        (b'{"type":"error","error":{"type":"BadRequestError","message":"too long"}}', 400, "invalid_request_error"),
        (b'{"type":"error","error":{"type":"x","message":"too long"}}', 500, "api_error"),
        (b'{"type":"error","error":{"type":"x","message":"too long"}}', 503, "overloaded_error"),
    ],
)
def test_an_engines_error_has_anthropics_form_on_anthropics_paths(body: bytes, status: int, kind: str) -> None:
    said = orjson.loads(answers.engine_error_body(body, status, "anthropic") or b"")
    assert said == {"type": "error", "error": {"type": kind, "message": "too long"}}


@pytest.mark.parametrize("body", [b"", b"Bad Gateway", b"[]", b'{"error":"no"}', b'{"detail":"no"}'])
def test_what_is_no_error_object_is_none_in_any_form(body: bytes) -> None:
    assert answers.engine_error_body(body, 400, "openai") is None
    assert answers.engine_error_body(body, 400, "anthropic") is None


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_an_error_in_a_stream_is_one_line_of_data(dialect: routes.Dialect) -> None:
    event = answers.body_event(b'{\n  "error": {"message": "two\\nlines"}\n}', dialect)
    *names, data, end, rest = event.split(b"\n")
    assert names == ([b"event: error"] if dialect == "anthropic" else [])
    assert orjson.loads(data.removeprefix(b"data: ")) == {"error": {"message": "two\nlines"}}
    assert (end, rest) == (b"", b"")


def test_a_retry_is_never_asked_for_at_once() -> None:
    assert dict(answers.error_headers(errors.BusyError("why", retry_after=0.1)))[b"retry-after"] == b"1"


PAGE = [(b"origin", b"https://app.example.com")]
ASKS = [*PAGE, (b"access-control-request-method", b"POST"), (b"access-control-request-headers", b"authorization")]


def test_without_origins_no_page_may_read() -> None:
    assert cors.response_headers(Cors(), PAGE) == []


def test_a_named_origin_may_read() -> None:
    lines = dict(cors.response_headers(Cors(allow_origins=["https://app.example.com"]), PAGE))
    assert lines[b"access-control-allow-origin"] == b"https://app.example.com"
    assert lines[b"access-control-expose-headers"] == b"x-request-id"
    assert lines[b"vary"] == b"origin"


def test_another_origin_may_not() -> None:
    settings = Cors(allow_origins=["https://other.example.com"])
    assert cors.response_headers(settings, PAGE) == [(b"vary", b"origin")]
    with pytest.raises(errors.ForbiddenError, match="allowOrigins"):
        cors.preflight_headers(settings, ASKS, "POST")


def test_a_preflight_gets_what_it_asks_for() -> None:
    asks = [*ASKS, (b"access-control-request-private-network", b"true")]
    assert cors.is_preflight("OPTIONS", asks)
    lines = dict(cors.preflight_headers(Cors(allow_origins=["*"]), asks, "POST, OPTIONS"))
    assert lines[b"access-control-allow-methods"] == b"POST, OPTIONS"
    assert lines[b"access-control-allow-headers"] == b"authorization"
    assert lines[b"access-control-allow-private-network"] == b"true"
    assert lines[b"access-control-max-age"] == b"600"


def test_header_lines_may_be_named() -> None:
    settings = Cors(allow_origins=["*"], allow_headers=["content-type"], expose_headers=[])
    assert dict(cors.preflight_headers(settings, ASKS, "POST"))[b"access-control-allow-headers"] == b"content-type"
    assert cors.response_headers(settings, PAGE) == [(b"access-control-allow-origin", b"*")]


def test_faults_in_a_row_double_the_quarantine() -> None:
    quarantine = Quarantine()
    now = 0.0
    for expected in (FIRST, FIRST * 2, FIRST * 4, LONGEST, LONGEST):
        quarantine.add("a", now)
        quarantine.add("a", now + expected / 2)
        assert quarantine.holds("a", now + expected - 0.01)
        assert not quarantine.holds("a", now + expected)
        now += expected


def test_an_answer_to_an_older_request_ends_no_quarantine() -> None:
    quarantine = Quarantine()
    quarantine.add("a", 0.0)
    quarantine.forgive("a", FIRST / 2)
    assert quarantine.holds("a", FIRST / 2)
    quarantine.forgive("a", FIRST)
    assert len(quarantine) == 0


def test_replicas_that_are_long_gone_are_forgotten() -> None:
    quarantine = Quarantine()
    for number in range(1000):
        quarantine.add(f"r{number}", float(number))
    assert len(quarantine) <= FIRST + REMEMBERED + 1


def test_only_deaths_with_the_request_in_hand_are_held_against_it() -> None:
    tries = Tries("demo", 4)
    for number, reason in enumerate(["refused", "died", "connect_timeout"]):
        tries.note(f"r{number}", reason)
        assert tries.refusal() is None
    assert tries.crashed == ["r1"]
    tries.note("r3", "refused")
    assert isinstance(tries.refusal(), errors.EngineFailedError)
    tries.note("r4", "died")
    assert isinstance(tries.refusal(), errors.EngineCrashedError)


def test_a_state_that_is_not_known_claims_nothing() -> None:
    assert (ModelState().ready, ModelState().max_model_len, ModelState().endpoints) == (False, None, frozenset())


def test_a_method_that_a_path_does_not_have_is_refused_with_those_it_has() -> None:
    routes.check_method(routes.ROUTES["/v1/models"], "HEAD")
    routes.check_method(routes.ROUTES["/tokenize"], "POST")
    for path, method, allow in (("/v1/models", "POST", "GET, HEAD, OPTIONS"), ("/tokenize", "HEAD", "POST, OPTIONS")):
        with pytest.raises(errors.MethodNotAllowedError) as caught:
            routes.check_method(routes.ROUTES[path], method)
        assert caught.value.allow == allow


def test_errors_are_in_the_form_that_the_paths_clients_read() -> None:
    assert routes.dialect_of("/v1/messages") == routes.dialect_of("/v1/messages/count_tokens") == "anthropic"
    assert routes.dialect_of("/v1/chat/completions") == "openai"
    assert routes.unknown_path("/" + "a" * 1000).message.count("a") < 300
