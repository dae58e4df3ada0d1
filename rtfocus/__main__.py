"""`python -m rtfocus` is the command line."""

from rtfocus.cli import main

if __name__ == "__main__":
    main()
