"""The environment that alembic runs for every command: uses the caller's connection and opens none of its own."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], target_metadata=None)
context.run_migrations()
