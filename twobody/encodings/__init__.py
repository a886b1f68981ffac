"""Image encodings: what the channels of a pair are drawn from."""
