"""Students as arithmetic, without torch: their shape, size and cost before training."""
