"""The product's images: built from their Dockerfiles and brought to where pods run.

`recipe` says what an image is made of, and so its name; `base` and `secrets` supply what a
registry and the machine would; `builder` builds, with docker or buildah; `cli` is argv.
"""
