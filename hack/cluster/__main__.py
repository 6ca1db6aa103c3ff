"""`python3 hack/cluster COMMAND`: see olive_cluster.cli."""

from olive_cluster.cli import main

if __name__ == "__main__":
    main()
