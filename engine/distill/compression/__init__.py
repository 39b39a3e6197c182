"""What makes a network smaller while or after it is trained."""
