"""Image encodings: objects that know their channels and draw them from the numbers of a pair.

An encoding is a subclass of `Encoding` in a module of this package, listed in `ENCODINGS`; archive,
loaders, checks, pictures and documentation ask it for everything they need to know of channels.
"""
