"""The table of a cloud: machines by type of GPU, and prices. Used by `penstock plan`, which reads it from the package.

The tables are copies of the Terraform modules' `gpus.yaml` (`make terraform-docs`), so that what is planned is what the
modules make; a test holds them equal. `--prices FILE` lays any part of such a file over one.
"""

from __future__ import annotations

from datetime import date
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator

from penstock.config.base import Section
from penstock.config.hardware import Quantity
from penstock.config.keys import keys_of, section_inside
from penstock.config.problems import Problem, document_error
from penstock.config.reading import parse, read
from penstock.config.setting import render_steps
from penstock.config.suggest import nearest
from penstock.config.tree import Node, find, merge, to_plain
from penstock.errors import DocumentError

Cloud = Literal["aws", "gcp"]
Money = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""In the table's currency, an hour."""


class Price(Section):
    """What a machine costs an hour."""

    on_demand: Money
    """At the list price."""

    spot: Money
    """About how much where the cloud may take it back."""


class Pod(Section):
    """What the pod of one GPU may ask for, so that as many as there are GPUs fit on the machine."""

    cpu: Quantity
    """Processors."""

    memory: Quantity
    """Memory."""


class Disks(Section):
    """Local NVMe disks."""

    count: int = Field(ge=0)
    """How many."""

    gb: int = Field(ge=0)
    """GB of each."""

    bundled: bool = False
    """Whether the machine always has them, at no price of their own."""


class Machine(Section):
    """A machine with GPUs."""

    type: str = Field(min_length=1)
    """The cloud's name of it."""

    cpus: int = Field(gt=0)
    """Virtual processors."""

    memory: float = Field(gt=0)
    """GiB."""

    disks: Disks
    """Its local disks."""

    boot_disk: str = ""
    """The kind of disk that it starts from, where it is not the usual one."""

    pod: Pod
    """Of one GPU."""

    price: Price
    """GPUs included."""


class Gpu(Section):
    """A type of GPU, and the machines that have it."""

    product: str
    """The value of the node's label `nvidia.com/gpu.product`."""

    memory: float = Field(gt=0)
    """GiB, as the driver tells."""

    accelerator: str = ""
    """The cloud's own name, where it has one."""

    machines: dict[str, Machine] = Field(min_length=1)
    """By number of GPUs."""

    @field_validator("machines")
    @classmethod
    def _numbered(cls, machines: dict[str, Machine]) -> dict[str, Machine]:
        for number in machines:
            if not number.isdecimal() or int(number) < 1:
                raise ValueError(f"{number!r} is no number of GPUs; write '1', '2', '4' or '8'")
        return machines

    @property
    def by_size(self) -> list[tuple[int, Machine]]:
        """Machines with their number of GPUs, the smallest first."""
        return sorted(((int(number), machine) for number, machine in self.machines.items()), key=lambda pair: pair[0])


class SystemNodes(Section):
    """Nodes without GPUs: for the head, the gateways and models on processors."""

    type: str
    """The cloud's name of the machine."""

    cpus: int = Field(gt=0)
    """Virtual processors."""

    memory: float = Field(gt=0)
    """GiB."""

    nodes: int = Field(ge=1)
    """How many there are at least."""

    price: Price
    """Of each."""


class Fixed(Section):
    """Something that is there as long as the cluster is."""

    what: str
    """Its name."""

    price: Money
    """An hour."""


class Always(Section):
    """What is there without any node."""

    control_plane: Fixed
    """Kubernetes."""

    egress: Fixed
    """The nodes' way out."""


class Table(Section):
    """Machines and prices of one cloud."""

    date: Annotated[date, BeforeValidator(lambda value: date.fromisoformat(value) if isinstance(value, str) else value)]
    """When the prices were looked up."""

    region: str
    """Where they hold."""

    currency: str
    """Of all prices."""

    gpus: dict[str, Gpu] = Field(min_length=1)
    """By the name of the hardware profile."""

    always: Always
    """What is there without any node."""

    system: SystemNodes
    """Nodes without GPUs."""


def load(cloud: Cloud, prices: Path | None = None) -> Table:
    """The table of a cloud, with a file of other prices or machines laid over it.

    Raises:
        DocumentError: the file is wrong; every problem with its line.
    """
    problems: list[Problem] = []
    packaged = resources.files("penstock.planning") / "tables" / f"{cloud}.yaml"
    root = parse(packaged.read_bytes(), f"{cloud}.yaml", Path.cwd(), problems)
    own = read(prices, problems) if prices is not None else None
    if problems or root is None:
        raise document_error(problems)
    return _checked(merge(root, own) if own is not None else root)


def _checked(root: Node) -> Table:
    try:
        return Table.model_validate(to_plain(root), by_alias=True, by_name=False)
    except ValidationError as error:
        lines = []
        for details in error.errors(include_url=False):
            steps = tuple(step for step in details["loc"] if step != "[key]")
            place = find(root, steps).place
            lines.append(f"{place}: {render_steps(steps)}: {_sentence(details['type'], details['msg'], steps)}")
        raise DocumentError("\n".join(dict.fromkeys(lines))) from None


def _sentence(kind: str, message: str, steps: tuple[Any, ...]) -> str:
    if kind == "missing":
        return "is missing; give it, or use a name that the table has already"
    if kind == "extra_forbidden":
        known = _keys_beside(steps)
        hint = nearest(str(steps[-1]), known)
        return "unknown key" + (f"; did you mean `{hint}`?" if hint else "") + f" Known are {', '.join(known)}"
    return message.removeprefix("Value error, ")


def _keys_beside(steps: tuple[Any, ...]) -> list[str]:
    """Keys that a table has where this one stands."""
    section: type[Section] = Table
    for step in steps[:-1]:
        names = dict(zip(keys_of(section), section.model_fields.values(), strict=True))
        if step in names and (inside := section_inside(names[step].annotation)) is not None:
            section = inside
    return keys_of(section)
