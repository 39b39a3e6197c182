"""What a task is, without torch: the rules by which its answers are scored."""
