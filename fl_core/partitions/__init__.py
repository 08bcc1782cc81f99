"""Ways of dealing one set out to clients, one a file and named like it: training row indices by client name."""
