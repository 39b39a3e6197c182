"""Synthetic data for the demo studies, generated from templates. It trains and scores nothing."""
