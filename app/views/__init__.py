"""What is shown, as frozen values: read from the store, ranked and joined for screens, reports and commands alike."""
