"""The archive ``dataset_combined.npz``: its layout, written whole and read safely."""

from twobody.archive.reader import read

__all__ = ["read"]
