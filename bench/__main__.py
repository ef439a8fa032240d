"""`python -m bench` is the command `upbench`."""

from bench.cli import main

if __name__ == "__main__":
    main()
