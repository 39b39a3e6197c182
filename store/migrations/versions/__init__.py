if (
    __name__ != "bertdistill.store.migrations.versions"
):  # a second copy under another name would define every table and type twice
    raise ImportError("import this package as bertdistill.store.migrations.versions, not as " + __name__)
