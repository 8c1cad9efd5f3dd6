"""What alembic runs: the versions that the store lacks, on the connection that `migrating` holds the lock with."""

from alembic import context

from penstock.accounts.migrating import VERSION_TABLE
from penstock.accounts.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
