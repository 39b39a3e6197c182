"""The contract between runner and worker: specs, folders, events, metrics, names, errors. Standard library only."""
