"""The raw data: pair folders and the two CSV files of labels, read and checked."""
