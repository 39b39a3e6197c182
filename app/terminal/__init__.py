"""The terminal around the app: what it can do, Textual's driver for it, keys that come early. It knows no study."""
