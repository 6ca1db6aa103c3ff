"""`python hack/demo COMMAND`: see olive_demo.cli."""

from olive_demo.cli import main

if __name__ == "__main__":
    main()
