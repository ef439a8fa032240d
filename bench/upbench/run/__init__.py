"""How it runs: from the cells that are missing to stored records, one process a cell."""
