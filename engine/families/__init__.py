"""What a student is, as arithmetic: its shape, size and cost before any training. Without torch."""
