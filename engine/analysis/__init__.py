"""What a study says once trials have ended: comparisons, scenarios, errors, growth. It changes nothing."""
