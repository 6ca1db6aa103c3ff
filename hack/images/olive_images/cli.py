"""argv: build images, bring them to a cluster, tell their names."""

import argparse
import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from olive_cluster import images as node_images
from olive_cluster.places import Places, locked
from olive_cluster.shell import ClusterError, say
from olive_images import buildah, docker
from olive_images.recipe import HERE, NAMES, Recipe


def main() -> None:
    """Run one command."""
    arguments = _parser().parse_args()
    recipes = [Recipe(name) for name in arguments.images or NAMES]
    try:
        for recipe in recipes:
            if recipe.name not in NAMES:  # argparse's `choices` refuses an empty list
                raise ClusterError(f"no image {recipe.name!r}: there are {', '.join(NAMES)}")
        match arguments.command:
            case "build":
                build(recipes)
            case "load":
                build(recipes)
                load(recipes, arguments.name)
        _print(recipes, as_json=arguments.json)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def build(recipes: list[Recipe]) -> None:
    """Build what is not there yet under its name, which is a hash of what it is made of."""
    engine = docker if docker.answers() else buildah
    with locked(buildah.STORAGE):
        if engine is buildah:
            buildah.prepare()
        for recipe in recipes:
            while not engine.has(ref := recipe.ref()):
                say(f"building {ref}")
                engine.build(recipe, f"{HERE}/{recipe.name}:latest-build")
                # Where a source was edited meanwhile, nobody knows which one went in: once more.
                if recipe.ref() == ref:
                    engine.tag(f"{HERE}/{recipe.name}:latest-build", ref)
                    say(f"built {ref}")


def load(recipes: list[Recipe], cluster: str) -> None:
    """Bring images to where pods run: $REGISTRY, a kind cluster, or the node of hack/cluster."""
    engine = docker if docker.answers() else buildah
    for recipe in recipes:
        ref = recipe.ref()
        if os.environ.get("REGISTRY"):
            engine.push(ref)
        elif engine is docker and cluster in docker.kind_clusters():
            docker.kind_load(ref, cluster)
        elif ref not in node_images.refs(Places(cluster)):
            say(f"loading {ref}")
            _load_onto_node(ref, Places(cluster), from_docker=engine is docker)


def _load_onto_node(ref: str, places: Places, *, from_docker: bool) -> None:
    if from_docker:
        with TemporaryDirectory() as folder:
            archive = Path(folder) / "image.tar"
            docker.save(ref, archive)
            node_images.load(places, archive, ref)
    else:
        with locked(buildah.STORAGE), buildah.layout(ref) as folder:
            node_images.load(places, folder, ref)


def _print(recipes: list[Recipe], *, as_json: bool) -> None:
    refs = {recipe.name: recipe.ref() for recipe in recipes}
    print(json.dumps(refs) if as_json else "\n".join(refs.values()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 hack/images", description=__doc__)
    common = argparse.ArgumentParser(add_help=False)
    which = f"{', '.join(NAMES)}; default: all"
    common.add_argument("images", nargs="*", metavar="IMAGE", help=which)
    common.add_argument("--json", action="store_true", help="print the names as a JSON object")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, what in (
        ("build", "build images, unless they are there"),
        ("load", "build, and load into a cluster (or push, where $REGISTRY is set)"),
        ("refs", "print the full names that images have with the present sources"),
    ):
        command = commands.add_parser(name, help=what, description=what, parents=[common])
        if name == "load":
            command.add_argument("--name", default="olive", help="which cluster (default: olive)")
    return parser
