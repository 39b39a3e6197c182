"""Objectives, dominance, ranking and hypervolume. Pure."""
