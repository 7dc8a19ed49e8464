"""`python -m fedkeeper` is `fedkeeper`."""

from fedkeeper.cli.main import main

if __name__ == "__main__":
    main()
