"""What the runner and the worker agree on: specs, folders, events, metrics, names, errors. Standard library only."""
