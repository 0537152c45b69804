"""The rules of docs/spec/, written a second time."""
