"""The command `upbench`: it parses, calls and prints."""
