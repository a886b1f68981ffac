"""The archive ``dataset_combined.npz``: its layout, written and read safely."""
