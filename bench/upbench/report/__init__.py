"""From stored cells to tables and pictures. Nothing here imports torch."""
