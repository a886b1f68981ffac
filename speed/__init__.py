"""What measures speed and memory; each module is one command."""
