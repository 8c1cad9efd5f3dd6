"""`penstock keys`: who may use the address. Works on the store itself, or through a gateway's `/admin/keys`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar

import typer
import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from rich.console import Console

from penstock.accounts.records import AuditEntry, KeyRecord, MadeKey, NewKey, NewLimits, Rotation
from penstock.accounts.service import listed_entry
from penstock.cli import keys_tables
from penstock.cli.keys_where import AdminKeyEnv, DatabaseEnv, Keys, SqliteFile, Url, Where, run
from penstock.config.accounts import Moment, parse_moment
from penstock.config.grants import USER
from penstock.config.keys import keys_of
from penstock.config.limits import KeyLimits
from penstock.config.suggest import nearest
from penstock.config.units import parse_duration
from penstock.errors import DocumentError

Made = TypeVar("Made", bound=BaseModel)

KEY_LIMITS = keys_of(KeyLimits)

keys = typer.Typer(
    help="""Make, show and revoke the keys that clients send. They are kept in the store of keys as hashes.

    The store is this machine's, unless --database-env or --sqlite names another. With --url and an admin's key a
    gateway is asked instead, so that nobody needs to reach the store.

    Example: penstock keys create alice --owner research --model 'qwen*'

    Example: penstock keys rotate alice --overlap 7d

    Example: penstock keys list --url https://llm.example.com --admin-key-env PENSTOCK_ADMIN_KEY
    """,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

Which = Annotated[str, typer.Argument(help="The key's id or its name.", metavar="KEY")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="How people call the key; unique.")],
    *,
    owner: Annotated[str, typer.Option(help="The team that it belongs to.")] = "default",
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model", help="A model that it may use, * and ? allowed; several times. Default: all.", metavar="PATTERN"
        ),
    ] = None,
    roles: Annotated[
        list[str] | None, typer.Option("--role", help="user or admin; several times. Default: user.", metavar="ROLE")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="When it ends: 90d, or 2027-01-31T12:00:00Z. Default: never.", metavar="TIME")
    ] = None,
    limits: Annotated[
        list[str] | None,
        typer.Option(
            "--limit",
            help="How much it may take, as documents name it: requestsPerMinute=60, tokensPerDay=1000000,"
            " requestsAtOnce=8, moneyPerMonth=50; several times.",
            metavar="NAME=NUMBER",
        ),
    ] = None,
    print_entry: Annotated[
        bool,
        typer.Option("--print-entry", help="Keep it nowhere; print what to list under accounts.keys or in a file."),
    ] = False,
    as_json: Json = False,
    database_env: DatabaseEnv = None,
    sqlite_file: SqliteFile = None,
    url: Url = None,
    admin_key_env: AdminKeyEnv = None,
) -> None:
    """Make a key and print it, this once.

    Example: penstock keys create ci --owner platform --model default --expires 90d
    """
    new = _checked(
        NewKey,
        name=name,
        owner=owner,
        models=models or ["*"],
        roles=roles or [USER],
        expires=None if expires is None else _moment(expires),
        limits=_limits(limits or []),
    )
    if print_entry:
        key, entry = listed_entry(new)
        written = {new.name: entry.model_dump(mode="json", by_alias=True, exclude_defaults=True)}
        _show_secret(key, yaml.safe_dump(written, sort_keys=False, allow_unicode=True, width=120))
        return
    made = run(
        lambda service, actor: service.create(new, actor=actor), Where(database_env, sqlite_file, url, admin_key_env)
    )
    _show_made(made, as_json=as_json)


@keys.command("list")
def list_(
    *,
    as_json: Json = False,
    database_env: DatabaseEnv = None,
    sqlite_file: SqliteFile = None,
    url: Url = None,
    admin_key_env: AdminKeyEnv = None,
) -> None:
    """Show all keys of the store.

    Example: penstock keys list
    """
    found = run(lambda service, _: service.all_keys(), Where(database_env, sqlite_file, url, admin_key_env))
    if as_json:
        typer.echo(TypeAdapter(list[KeyRecord]).dump_json(found, indent=2).decode())
    elif found:
        Console(highlight=False).print(keys_tables.of_keys(found))
    else:
        typer.echo("There are no keys. Make one with: penstock keys create NAME")


@keys.command()
def show(
    key: Which,
    *,
    as_json: Json = False,
    database_env: DatabaseEnv = None,
    sqlite_file: SqliteFile = None,
    url: Url = None,
    admin_key_env: AdminKeyEnv = None,
) -> None:
    """Show one key and what was changed about it.

    Example: penstock keys show alice
    """

    async def look(service: Keys, _: str) -> tuple[KeyRecord, list[AuditEntry]]:
        record = await service.get(key)
        return record, await service.changes(record.id)

    record, changes = run(look, Where(database_env, sqlite_file, url, admin_key_env))
    if as_json:
        typer.echo(record.model_dump_json(indent=2))
        return
    console = Console(highlight=False)
    console.print(keys_tables.of_key(record))
    console.print()
    console.print(keys_tables.of_changes(changes))


@keys.command()
def rotate(
    key: Which,
    *,
    overlap: Annotated[str, typer.Option(help="The old key goes on for so long: 1h, 7d; 0 ends it.")] = "1d",
    as_json: Json = False,
    database_env: DatabaseEnv = None,
    sqlite_file: SqliteFile = None,
    url: Url = None,
    admin_key_env: AdminKeyEnv = None,
) -> None:
    """Make another secret for a key and print it, this once. The old one goes on for a while.

    Example: penstock keys rotate alice --overlap 7d
    """
    how = _checked(Rotation, overlap=overlap)
    made = run(
        lambda service, actor: service.rotate(key, how, actor=actor),
        Where(database_env, sqlite_file, url, admin_key_env),
    )
    _show_made(made, as_json=as_json)


@keys.command()
def limit(
    key: Which,
    limits: Annotated[
        list[str] | None,
        typer.Argument(help="As create's --limit. None: as the document says of every key.", metavar="NAME=NUMBER"),
    ] = None,
    *,
    as_json: Json = False,
    database_env: DatabaseEnv = None,
    sqlite_file: SqliteFile = None,
    url: Url = None,
    admin_key_env: AdminKeyEnv = None,
) -> None:
    """Give a key these limits instead of those that it has. Every gateway obeys within 5 seconds.

    Example: penstock keys limit alice requestsPerMinute=60 tokensPerMonth=50000000
    """
    new = NewLimits(limits=_limits(limits or []))
    changed = run(
        lambda service, actor: service.limit(key, new, actor=actor),
        Where(database_env, sqlite_file, url, admin_key_env),
    )
    _show_changed("limited", changed, as_json=as_json)


@keys.command()
def disable(
    key: Which,
    *,
    as_json: Json = False,
    database_env: DatabaseEnv = None,
    sqlite_file: SqliteFile = None,
    url: Url = None,
    admin_key_env: AdminKeyEnv = None,
) -> None:
    """Refuse a key until it is enabled again. Every gateway does within 5 seconds.

    Example: penstock keys disable alice
    """
    changed = run(
        lambda service, actor: service.disable(key, actor=actor), Where(database_env, sqlite_file, url, admin_key_env)
    )
    _show_changed("disabled", changed, as_json=as_json)


@keys.command()
def enable(
    key: Which,
    *,
    as_json: Json = False,
    database_env: DatabaseEnv = None,
    sqlite_file: SqliteFile = None,
    url: Url = None,
    admin_key_env: AdminKeyEnv = None,
) -> None:
    """Take a disabled key again.

    Example: penstock keys enable alice
    """
    changed = run(
        lambda service, actor: service.enable(key, actor=actor), Where(database_env, sqlite_file, url, admin_key_env)
    )
    _show_changed("enabled", changed, as_json=as_json)


@keys.command()
def delete(
    key: Which,
    *,
    as_json: Json = False,
    database_env: DatabaseEnv = None,
    sqlite_file: SqliteFile = None,
    url: Url = None,
    admin_key_env: AdminKeyEnv = None,
) -> None:
    """Forget a key. Every gateway refuses it within 5 seconds; the log of changes keeps what was noted.

    Example: penstock keys delete alice
    """
    changed = run(
        lambda service, actor: service.delete(key, actor=actor), Where(database_env, sqlite_file, url, admin_key_env)
    )
    _show_changed("deleted", changed, as_json=as_json)


@keys.command()
def log(
    *,
    limit: Annotated[int, typer.Option(help="So many of the last changes.", min=1, max=1000)] = 50,
    as_json: Json = False,
    database_env: DatabaseEnv = None,
    sqlite_file: SqliteFile = None,
    url: Url = None,
    admin_key_env: AdminKeyEnv = None,
) -> None:
    """Show who changed which key, and when, the latest first.

    Example: penstock keys log --limit 20
    """
    changes = run(lambda service, _: service.changes(limit=limit), Where(database_env, sqlite_file, url, admin_key_env))
    if as_json:
        typer.echo(TypeAdapter(list[AuditEntry]).dump_json(changes, indent=2).decode())
    else:
        Console(highlight=False).print(keys_tables.of_changes(changes))


def _moment(text: str) -> Moment:
    try:
        seconds = parse_duration(text)
    except ValueError:
        try:
            return parse_moment(text)
        except ValueError as error:
            raise DocumentError(f"--expires: {error}, or a duration such as 90d") from None
    return datetime.now(UTC) + timedelta(seconds=seconds)


def _limits(written: list[str]) -> KeyLimits | None:
    """The limits of `requestsPerMinute=60`; None where there are none."""
    if not written:
        return None
    values: dict[str, object] = {}
    for text in written:
        name, equals, value = text.partition("=")
        if not equals:
            raise DocumentError(f"{text[:80]!r} is no limit.", remedy="Write for example requestsPerMinute=60")
        if name not in KEY_LIMITS:
            guess = nearest(name, KEY_LIMITS)
            raise DocumentError(
                f"There is no limit {name[:80]!r}.",
                remedy=f"{f'Did you mean {guess}? ' if guess else ''}There are {', '.join(KEY_LIMITS)}.",
            )
        values[name] = value
    return _checked(KeyLimits, **values)


def _checked(model: type[Made], **values: object) -> Made:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise DocumentError(f"{first['loc'][0]}: {first['msg'].removeprefix('Value error, ')}") from None


def _show_made(made: MadeKey, *, as_json: bool) -> None:
    if as_json:
        typer.echo(made.model_dump_json(indent=2))
        return
    _show_secret(made.key.get_secret_value(), "")
    Console(stderr=True, highlight=False).print(keys_tables.of_key(made))


def _show_secret(key: str, entry: str) -> None:
    """The key alone goes to stdout, so that it can go into a file or a pipe."""
    typer.echo("This key is shown only now:", err=True)
    typer.echo(key)
    if entry:
        typer.echo(f"List it under accounts.keys, or in the file that accounts.keysFile names:\n{entry}", err=True)


def _show_changed(what: str, record: KeyRecord, *, as_json: bool) -> None:
    if as_json:
        typer.echo(record.model_dump_json(indent=2))
    else:
        typer.echo(f"{what}: {record.name} ({record.id})")
