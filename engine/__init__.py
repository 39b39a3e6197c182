if __name__ != "bertdistill.engine":  # a second copy under another name would define every table and type twice
    raise ImportError("import this package as bertdistill.engine, not as " + __name__)
