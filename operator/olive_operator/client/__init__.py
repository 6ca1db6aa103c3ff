"""The API server: the connection, requests, the calls that the operator makes, and its Lease."""
