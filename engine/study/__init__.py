"""A study as values: from TOML to a validated StudySpec, its search space, and what is known before training."""
