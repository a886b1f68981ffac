"""What pairs teach about molecules, experiments and crystals."""
