"""The page's place at the gateway: beside the API, off by one setting, read and nothing else."""

from __future__ import annotations

import pytest

from penstock.cli.picture import how_to_call
from support.gateways import ask, get, post, running_gateway


@pytest.mark.integration
async def test_whoever_opens_the_address_gets_the_page_without_a_key():
    async with running_gateway() as gateway:
        answer = await ask(gateway, get("/"))
        assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert b"<title>Penstock</title>" in answer.body
        module = await ask(gateway, get("/page/app.js"))
        assert (module.status, module.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
        again = await ask(gateway, get("/page/app.js", headers=[("if-none-match", module.headers["etag"])]))
        assert (again.status, again.headers["etag"]) == (304, module.headers["etag"])
        metrics = (await ask(gateway, get("/metrics"))).body.decode()
        assert 'requests_total{endpoint="page",model="",status="304"} 1.0' in metrics


@pytest.mark.integration
async def test_one_setting_switches_it_off():
    async with running_gateway(settings={"page": False}) as gateway:
        for path in ("/", "/page/app.js"):
            answer = await ask(gateway, get(path))
            assert (answer.status, answer.error["code"]) == (404, "unknown_url")
        assert (await ask(gateway, get("/v1/models"))).status == 200


@pytest.mark.integration
@pytest.mark.parametrize(
    "path",
    [
        "/page/../files.py", "/page/..%2f..%2fapp.py", "/page/%2e%2e/files.py", "/page//etc/passwd", "/page/",
        "/page/app.js/", "/page/index.html", "/page/app.js%00",
    ],
)  # fmt: skip
async def test_no_path_leads_to_another_file(path: str):
    async with running_gateway() as gateway:
        answer = await ask(gateway, get(path))
        assert (answer.status, answer.error["code"]) == (404, "unknown_url")


@pytest.mark.integration
async def test_the_page_is_read_only():
    async with running_gateway() as gateway:
        answer = await ask(gateway, post(b"{}", "/"))
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
        head = await ask(gateway, get("/", "HEAD"))
        assert (head.status, head.body) == (200, b"")
        assert int(head.headers["content-length"]) > 0


def test_up_tells_where_the_page_is():
    assert "In a browser: http://127.0.0.1:8000/\n" in how_to_call("http://127.0.0.1:8000", "demo", page=True)
    assert "browser" not in how_to_call("http://127.0.0.1:8000", "demo", page=False)
