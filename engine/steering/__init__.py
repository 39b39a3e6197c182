"""What people do to a study: start, stop, change, rerun, promote, undo. Each is recorded with who and when."""
