"""Charts, axes, dots and sparklines made of characters; the only room that uses plotext. It reads no store."""
