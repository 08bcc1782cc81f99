"""Ready-made data loaders, one a file and named like it; a loader of your own is written the same way (docs/data.md)."""
