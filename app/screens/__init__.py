"""One module a screen: what it reads, what it shows, which actions it offers. No screen opens the database."""
