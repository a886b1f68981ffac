"""The benchmark: splits shipped as names, tracks, scores and the table made from predictions."""
