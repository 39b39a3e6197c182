"""Data files as tables, columns, labels and questions: read alike by a plan and a worker. Standard library only."""
