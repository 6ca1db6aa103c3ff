"""`python hack/docs COMMAND`: see olive_docs.cli."""

from olive_docs.cli import main

if __name__ == "__main__":
    main()
