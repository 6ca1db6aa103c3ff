"""`python3 hack/images COMMAND`: see olive_images.cli."""

import sys
from pathlib import Path

# The cluster and its images share their shell, their cache and the way into the node.
sys.path.append(str(Path(__file__).resolve().parent.parent / "cluster"))

from olive_images.cli import main

if __name__ == "__main__":
    main()
