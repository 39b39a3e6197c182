"""Data files as tables, columns, labels and questions: what a plan and a worker must read alike. Standard library only."""
