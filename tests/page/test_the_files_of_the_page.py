"""What is served at `/` and `/page/...`: the package's own files alone, under a policy that lets nothing else in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from penstock.gateway.page import files

ASSETS = Path(files.__file__).parent / "assets"
TEXTS = {path: file.body.decode() for path, file in files.files().items()}
MODULES = {path: text for path, text in TEXTS.items() if path.endswith(".js")}


def lines(file: files.File) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in file.headers}


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/page/app.js", "text/javascript; charset=utf-8"),
        ("/page/style.css", "text/css; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ],
)
def test_a_file_says_what_it_is(path: str, content_type: str):
    assert lines(files.files()[path])["content-type"] == content_type


def test_every_asset_is_served_and_nothing_else():
    assert {file.body for file in files.files().values()} == {path.read_bytes() for path in ASSETS.iterdir()}
    for path in ("/page/", "/page/../files.py", "/page/files.py", "/page//app.js", "//page/app.js", "/page/index.html"):
        assert path not in files.files()


@pytest.mark.parametrize("path", files.files())
def test_every_file_bears_the_policy(path: str):
    policy = dict(
        directive.strip().partition(" ")[::2]
        for directive in lines(files.files()[path])["content-security-policy"].split(";")
    )
    assert policy.pop("default-src") == "'none'"
    assert {policy.pop(f"{kind}-src") for kind in ("script", "style", "img", "connect")} == {"'self'"}
    assert {policy.pop(name) for name in ("base-uri", "form-action", "frame-ancestors", "trusted-types")} == {"'none'"}
    assert policy == {"require-trusted-types-for": "'script'"}
    assert lines(files.files()[path])["x-content-type-options"] == "nosniff"


def test_a_browser_that_has_a_file_gets_it_not_again():
    file = files.files()["/page/app.js"]
    for asked in (file.etag, b"W/" + file.etag, b'"other", ' + file.etag, b"*"):
        status, headers, body = file.answer([(b"if-none-match", asked)])
        assert (status, body) == (304, b"")
        assert (b"etag", file.etag) in headers
    for others in ([], [(b"if-none-match", b'"other"')]):
        assert file.answer(others)[0] == 200


def test_files_differ_by_their_etags():
    assert len({file.etag for file in files.files().values()}) == len(files.files())


@pytest.mark.parametrize("path", MODULES)
def test_every_module_that_is_imported_is_there(path: str):
    imported = re.findall(r'from "\./([^"]+)"', MODULES[path])
    assert {f"/page/{name}" for name in imported} <= MODULES.keys()


def test_every_module_is_used():
    used = {f"/page/{name}" for text in MODULES.values() for name in re.findall(r'from "\./([^"]+)"', text)}
    assert MODULES.keys() - used == {"/page/app.js"}


@pytest.mark.parametrize("path", TEXTS)
def test_nothing_comes_from_elsewhere(path: str):
    named = set(re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]+[^\s\"'`]*", TEXTS[path]))
    assert named <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("path", TEXTS)
def test_no_text_becomes_markup_or_code(path: str):
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", TEXTS[path]) == []
    )
    assert re.findall(r"<script>|<style>| style=| on[a-z]+=\"", TEXTS[path]) == []


def test_no_key_is_kept_longer_than_the_tab():
    assert [path for path, text in MODULES.items() if re.search(r"localStorage|indexedDB|document\.cookie", text)] == []
