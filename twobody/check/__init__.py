"""What is in an archive, whether it is right, and how two of them differ."""
