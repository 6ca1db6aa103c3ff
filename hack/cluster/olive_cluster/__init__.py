"""A real Kubernetes on one Linux machine, without Docker, a registry or systemd.

The modules, from the bottom: `shell` and `places` (commands and paths), `packages` (of Debian),
`binaries` and `pki` (what a cluster is made of), `processes` and `sandbox` (where it lives),
`kubectl` (how it is spoken to), `control_plane`, `kwok`, `kueue` and `node` (its parts), `images`,
`volumes` and `gpu` (what is put into it), `up` (the parts put together), `cluster` (up, down,
status), `snapshot` (its data) and `cli` (argv).
"""
