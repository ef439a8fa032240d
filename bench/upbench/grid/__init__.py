"""What to run: from a grid's TOML file to its cells, and which of them are asked for."""
