"""The tables of machines and prices: one source, sound, and changed by a file of the user's own."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import get_args

import pytest

from penstock.config.presets import CPU, PRESETS
from penstock.doctor.cluster.quantities import parse
from penstock.errors import DocumentError
from penstock.planning import tables
from penstock.planning.pools import GIB, PRODUCT
from penstock.planning.tables import Cloud, load

ROOT = Path(__file__).parents[2]
CLOUDS: tuple[Cloud, ...] = get_args(Cloud)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "prices.yaml"


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_package_holds_what_the_terraform_module_reads(cloud: Cloud) -> None:
    packaged = Path(tables.__file__).parent / "tables" / f"{cloud}.yaml"
    assert packaged.read_text() == (ROOT / "deploy" / "terraform" / cloud / "gpus.yaml").read_text(), (
        "run `make terraform-docs`"
    )


@pytest.mark.parametrize("cloud", CLOUDS)
def test_types_of_gpus_are_those_of_the_presets_and_carry_their_label(cloud: Cloud) -> None:
    for name, gpu in load(cloud).gpus.items():
        assert PRESETS[name].node_selector == {PRODUCT: gpu.product}


def test_every_preset_is_a_machine_on_one_cloud_at_least() -> None:
    assert {name for cloud in CLOUDS for name in load(cloud).gpus} == set(PRESETS) - {CPU}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_pods_leave_the_machine_something_for_itself(cloud: Cloud) -> None:
    for gpu in load(cloud).gpus.values():
        for number, machine in gpu.by_size:
            assert parse(machine.pod.cpu) * number < machine.cpus, machine.type
            assert parse(machine.pod.memory) * number < machine.memory * GIB * 0.95, machine.type


@pytest.mark.parametrize("cloud", CLOUDS)
def test_more_gpus_cost_more_and_spot_less_than_the_list(cloud: Cloud) -> None:
    for gpu in load(cloud).gpus.values():
        listed = [machine.price.on_demand for _, machine in gpu.by_size]
        assert listed == sorted(listed)
        assert all(machine.price.spot < machine.price.on_demand for _, machine in gpu.by_size)


def test_any_part_of_a_table_can_be_ones_own(own: Path) -> None:
    own.write_text(
        'date: 2026-01-31\nregion: eu-central-1\ngpus: {nvidia-l4: {machines: {"1": {price: {onDemand: 0.99}}}}}\n'
    )
    before, after = load("aws"), load("aws", own)
    assert (after.date, after.region) == (date(2026, 1, 31), "eu-central-1")
    assert after.gpus["nvidia-l4"].machines["1"].price.on_demand == 0.99
    assert after.gpus["nvidia-l4"].machines["1"].price.spot == before.gpus["nvidia-l4"].machines["1"].price.spot
    assert after.gpus["nvidia-h100"] == before.gpus["nvidia-h100"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("gpus: {nvidia-l4: {machnes: {}}}", r":1: gpus\.nvidia-l4\.machnes: unknown key; did you mean `machines`"),
        ("gpus: {nvidia-b200: {product: B}}", r"gpus\.nvidia-b200\.memory: is missing"),
        ('region: x\ngpus: {nvidia-l4: {machines: {"1": {price: {spot: -1}}}}}', r":2: .*spot: .*greater than"),
        ('gpus: {nvidia-l4: {machines: {"none": {}}}}', r"machines"),
        ("date: soon", r":1: date: .*soon"),
        ("prices: {}", r":1: prices: unknown key.* Known are date, region"),
        ("- 1", r"holds a list"),
        ("gpus: 7", r"gpus"),
    ],
)
def test_a_wrong_file_is_told_with_line_and_path(own: Path, text: str, told: str) -> None:
    own.write_text(text)
    with pytest.raises(DocumentError, match=told):
        load("aws", own)


def test_a_file_that_is_not_there_is_told(own: Path) -> None:
    with pytest.raises(DocumentError, match="there is no such file"):
        load("gcp", own)
