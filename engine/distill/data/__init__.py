"""Examples and their tokens: sources, features, batches, vocabularies, caches. It trains nothing."""
