"""The reference page is what the models say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from penstock.config import Document
from penstock.config.keys import key_of, keys_of, paths_of, section_at, sections_in
from penstock.config.loading import load
from penstock.config.reference import REGENERATE, markdown
from penstock.config.simulator import SimulatorOptions

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_up_to_date():
    if PAGE.read_text(encoding="utf-8") != markdown():
        pytest.fail(f"docs/configuration.md differs from the models; write it anew: {REGENERATE}")


def test_every_key_has_a_row_with_a_meaning():
    rows = [line.split(" | ") for line in markdown().splitlines() if line.startswith("| `")]
    meant = {row[0].strip("|` "): row[-1].strip("| ") for row in rows}
    for section in [*sections_in(Document), SimulatorOptions]:
        for name, field in section.model_fields.items():
            assert meant[key_of(name, field)]


@pytest.mark.parametrize(
    "row",
    [
        "| `longestRequest` | duration, more than 0 | `10m` |",
        "| `maxBodyBytes` | size, more than 0 | `32Mi` |",
        "| `port` | whole number, at least 1, at most 65535 | `8000` |",
        "| `level` | `debug`, `info`, `warning`, `error` | `info` |",
        "| `replicas` | [map or number](#modelsnamereplicas) |  |",
        "| `limit` | size |  |",
        "| `resources` | map to quantities | `{}` |",
        "| `tolerations` | list of maps | `[]` |",
        "| `options` | map | `{}` |",
        "| `env` | map to texts | `{}` |",
    ],
)
def test_types_and_defaults_are_written_as_in_a_document(row):
    assert row in markdown()


def test_every_link_leads_to_a_heading():
    page = markdown()
    headings = {
        re.sub(r"[^\w -]", "", line[3:].lower()).replace(" ", "-") for line in page.splitlines() if line[:3] == "## "
    }
    links = set(re.findall(r"\]\(#([^)]+)\)", page))
    assert links <= headings
    assert links


def test_the_examples_on_the_page_load():
    blocks = re.findall(r"```yaml\n(.*?)```", markdown(), re.DOTALL)
    assert [list(load([], base=yaml.safe_load(block)).models) for block in blocks] == [["qwen3-8b"]]


def test_the_settings_on_the_page_are_understood():
    base = {"models": {"demo": {"engine": "simulator"}, "qwen2.5-7b": {"source": "a", "hardware": "h"}}}
    base["hardware"] = {"h": {"resources": {"nvidia.com/gpu": 1}}}
    table = markdown().partition("## --set")[2].partition("## ")[0]
    sets = [cell.strip("`'") for cell in re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE)][1:]
    assert len(sets) == 6
    for text in sets:
        assert load([], [text], base=base)


def test_the_module_prints_the_page():
    done = subprocess.run(
        [sys.executable, "-m", "penstock.config.reference"], capture_output=True, text=True, check=True, timeout=180
    )
    assert done.stdout == markdown()


def test_paths_lead_to_their_sections():
    assert section_at(("models", "x", "options")) is SimulatorOptions
    assert section_at(("models", "x", "replicas", "min")) is None
    assert section_at(("nothing", "x")) is None
    assert section_at(()) is Document
    assert keys_of(Document)[0] == "models"
    assert paths_of("nodeSelector") == ["hardware.<name>.nodeSelector"]
