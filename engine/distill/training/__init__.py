"""Training: the loop, losses, dropout, checkpoints, evaluation and measurement."""
