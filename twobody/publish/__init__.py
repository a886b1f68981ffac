"""What is made of an archive for people: figures, a page, a release."""
