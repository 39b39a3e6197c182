"""The terminal: its capabilities, Textual's driver for it, and the order of early keys. It knows no study."""
