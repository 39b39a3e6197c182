"""Pre-training of students as masked language models, before the task."""
