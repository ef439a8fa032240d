"""`python -m upbench` is the command `upbench`."""

from upbench.cli.app import main

if __name__ == "__main__":
    main()
