"""Other programs: their runs in, ours out, and the few lines with which any training is logged."""
