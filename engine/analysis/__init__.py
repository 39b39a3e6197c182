"""Analysis of ended trials: comparisons, scenarios, errors, growth. It changes nothing."""
