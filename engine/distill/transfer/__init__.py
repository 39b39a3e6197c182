"""Transfer sets: texts without labels for the teacher to label, one module per kind and one row each in `table`."""
