"""One module a command of `fl`."""
