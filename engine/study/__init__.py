"""A study as values: from TOML to a checked StudySpec, its search space, and what is known of a student beforehand."""
