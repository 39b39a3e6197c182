"""The networks that students are: built, loaded and saved with torch."""
