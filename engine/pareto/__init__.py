"""Objectives, dominance, rank and hypervolume. Pure."""
