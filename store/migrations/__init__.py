"""Schema migrations of the database, with alembic."""

if (
    __name__ != "bertdistill.store.migrations"
):  # a second copy under another name would define every table and type twice
    raise ImportError("import this package as bertdistill.store.migrations, not as " + __name__)
