"""What the operator, the stages and the server agree on: keys, artifacts, stage input and report.

Standard library only, so that every image carries the same copy whatever else it installs.
"""
