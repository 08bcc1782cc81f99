"""One script a claim: `fl bench NAME --json` measures it on this machine."""
