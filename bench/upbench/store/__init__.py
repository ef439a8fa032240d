"""What was left: one record a cell, what produced it, and a results folder read as a whole."""
