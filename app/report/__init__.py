"""What people and scripts read: text, and the objects behind `--json` and `--csv`. It prints nothing."""
