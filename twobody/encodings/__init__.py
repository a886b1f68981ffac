"""Image encodings of a pair: what its ten channels are, and how they are drawn."""
