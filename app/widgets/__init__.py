"""Widgets that screens share: tables and charts that repaint only what changed. No widget reads the store."""
