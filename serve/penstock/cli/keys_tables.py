"""Keys and changes as tables for a terminal. Pure; used by `keys`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from rich.table import Table
from rich.text import Text

from penstock.accounts.records import AuditEntry, KeyRecord
from penstock.config.accounts import format_moment
from penstock.config.limits import KeyLimits

_STYLE = {"active": "green", "disabled": "yellow", "expired": "red"}


def of_keys(records: Iterable[KeyRecord]) -> Table:
    """All keys, one a line."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "name", "owner", "models", "roles", "state", "expires"):
        table.add_column(column, no_wrap=column == "id", overflow="fold")
    for record in records:
        table.add_row(
            # Names are what somebody chose: never markup.
            Text(record.id),
            Text(record.name),
            Text(record.owner),
            Text(", ".join(record.models)),
            Text(", ".join(record.roles)),
            Text(record.state, _STYLE[record.state]),
            Text(_when(record.expires)),
        )
    return table


def of_key(record: KeyRecord) -> Table:
    """One key, a line for each thing."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    rows = {
        "id": record.id,
        "name": record.name,
        "owner": record.owner,
        "models": ", ".join(record.models),
        "roles": ", ".join(record.roles),
        "state": record.state,
        "created": _when(record.created),
        "expires": _when(record.expires),
        "limits": _limits(record.limits),
        "older keys end": ", ".join(_when(moment) for moment in record.retiring),
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, Text(value))
    return table


def of_changes(changes: Iterable[AuditEntry]) -> Table:
    """Changes, one a line."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("when", "who", "what", "key", "details"):
        table.add_column(column, no_wrap=column in ("when", "key"), overflow="fold")
    for change in changes:
        details = " ".join(f"{name}={value}" for name, value in change.details.items())
        table.add_row(_when(change.at), Text(change.actor), change.action, Text(change.key_id), Text(details))
    return table


def _limits(limits: KeyLimits | None) -> str:
    if limits is None:
        return ""
    given = limits.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return ", ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in given.items()
    )


def _when(moment: datetime | None) -> str:
    return format_moment(moment.replace(microsecond=0)) if moment is not None else ""
