if __name__ != "bertdistill.engine.distill":  # a second copy under another name would define every table and type twice
    raise ImportError("import this package as bertdistill.engine.distill, not as " + __name__)
