"""Tests of hack/cluster and hack/images."""
