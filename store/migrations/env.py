"""What alembic runs for every command: use the connection that the caller holds. It opens no connection of its own."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], target_metadata=None)
context.run_migrations()
