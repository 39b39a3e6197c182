"""Compression of networks during or after training."""
