"""Runs someone's program as the worker of a trial. Standard library only."""
