"""`python -m tests.pipelines.golden`: writes the golden files anew."""

from tests.pipelines.golden import write

for path in write():
    print(path)
