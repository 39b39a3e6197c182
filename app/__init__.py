if __name__ != "bertdistill.app":  # a second copy under another name would define every table and type twice
    raise ImportError("import this package as bertdistill.app, not as " + __name__)
