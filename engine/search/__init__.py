"""Proposals and parameter importances; the only package that uses optuna."""
