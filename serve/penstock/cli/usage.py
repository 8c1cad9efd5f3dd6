"""`penstock usage`: what requests took, from the store itself or through a gateway's `/admin/usage`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console

from penstock.accounts.ledger.report import Question, UsageReport
from penstock.cli import usage_tables
from penstock.cli.keys_where import AdminKeyEnv, DatabaseEnv, SqliteFile, Url, Where, address_of_store, remote_keys
from penstock.config.accounts import parse_moment
from penstock.config.units import parse_duration
from penstock.errors import DocumentError

_DAY = timedelta(days=1)


def usage(
    *,
    by: Annotated[
        str, typer.Option(help="What to tell apart: some of key, team, model, day, hour.", metavar="WORDS")
    ] = "team,model",
    since: Annotated[
        str | None,
        typer.Option(help="From when: 7d, 2027-01-31, or 2027-01-31T12:00:00Z. Default: 30 days.", metavar="TIME"),
    ] = None,
    until: Annotated[str | None, typer.Option(help="Up to when; the same.", metavar="TIME")] = None,
    key: Annotated[str | None, typer.Option(help="Of one key alone: its id.", metavar="ID")] = None,
    team: Annotated[str | None, typer.Option(help="Of one team alone.")] = None,
    model: Annotated[str | None, typer.Option(help="Of one model alone.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    picture: Annotated[
        Path | None, typer.Option(help="Draw it into this PNG file as well; needs matplotlib.", metavar="FILE")
    ] = None,
    database_env: DatabaseEnv = None,
    sqlite_file: SqliteFile = None,
    url: Url = None,
    admin_key_env: AdminKeyEnv = None,
) -> None:
    """Show how many requests and tokens keys, teams and models took. Days and hours are those of UTC.

    The store is this machine's, unless --database-env or --sqlite names another. With --url and an admin's key a
    gateway is asked instead.

    Example: penstock usage --by day,team --since 7d

    Example: penstock usage --by team,model --since 2027-01-01 --until 2027-02-01 --csv > january.csv
    """
    if as_json and as_csv:
        raise DocumentError("--json and --csv are two forms of the same.", remedy="Leave one out.")
    now = datetime.now(UTC)
    question = _question(
        by=tuple(word.strip() for word in by.split(",") if word.strip()),
        since=_moment("--since", since, now),
        until=_moment("--until", until, now),
        key=key,
        team=team,
        model=model,
    )
    report = _ask(question, Where(database_env, sqlite_file, url, admin_key_env), now)
    if picture is not None:
        from penstock.cli.usage_picture import write_png  # noqa: PLC0415  # only where one is drawn

        write_png(report, picture)
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    elif as_csv:
        typer.echo(usage_tables.csv_of(report), nl=False)
    elif report.rows:
        Console(highlight=False).print(usage_tables.table_of(report))
    else:
        typer.echo("Nothing was used in this time.")


def _ask(question: Question, where: Where, now: datetime) -> UsageReport:
    if where.url is not None:
        return asyncio.run(remote_keys(where).usage(question))
    from penstock.accounts.ledger.store import UsageStore  # noqa: PLC0415  # --help needs no database

    store = UsageStore(address_of_store(where))
    try:
        store.open()
        return store.report(question, now)
    finally:
        store.close()


def _question(**values: Any) -> Question:
    try:
        return Question.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        option = f"--{first['loc'][0]}: " if first["loc"] else ""
        raise DocumentError(f"{option}{first['msg'].removeprefix('Value error, ')}.") from None


def _moment(option: str, text: str | None, now: datetime) -> datetime | None:
    if text is None:
        return None
    try:
        ago = timedelta(seconds=parse_duration(text))
    except ValueError:
        try:
            return parse_moment(f"{text}T00:00:00Z" if len(text) == len("2027-01-31") else text)
        except ValueError as error:
            raise DocumentError(f"{option}: {error}, or a day such as 2027-01-31, or a duration such as 7d") from None
    # Whole days begin with a day, so that the sums by day are enough.
    return (now - ago).replace(hour=0, minute=0) if ago >= _DAY else now - ago
