"""Proposals and importances; the only place for optuna."""
