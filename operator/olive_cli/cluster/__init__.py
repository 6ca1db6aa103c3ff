"""The way to the cluster: connection, requests, watch and what refusals mean; kubectl where it
knows better."""
