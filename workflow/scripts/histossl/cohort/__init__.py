"""A folder of slides and a table of labels become the slide sheet."""
