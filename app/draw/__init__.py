"""Numbers to characters: charts, axes, dots and sparklines; the only place for plotext. It reads no store."""
