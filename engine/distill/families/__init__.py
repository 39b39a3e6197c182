"""The students' networks: built, loaded and saved with torch."""
