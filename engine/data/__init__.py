"""Data files as tables, columns, labels and questions, for both plans and workers. Standard library only."""
