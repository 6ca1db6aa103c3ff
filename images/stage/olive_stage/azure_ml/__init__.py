"""Azure ML: models and paths there as sources, and versions published to it.

Azure's own clients speak to it (azure-ai-ml, azure-identity, azure-storage-blob), but files are not
moved by azure-ai-ml: it holds each whole in memory, does not go on where it was cut, takes a folder
for complete by its first file, and waits for ever on a file that failed (docs/adr/0022).
"""
