"""Tasks, without torch: their metrics and scoring rules."""
