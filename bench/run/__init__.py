"""From a grid's TOML file to stored cells: expansion, provenance, store, one process a cell."""
