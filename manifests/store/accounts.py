"""Makes buckets in MinIO and an account for every folder of `--accounts`, which holds its `access` and `secret` key and is named after its role.

With `--job`, a role may do in the first bucket what the job's policies allow it; the role `all` may read and write all the buckets.
"""

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minio import Minio, MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.error import MinioException
from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError

WAIT_SECONDS, PAUSE_SECONDS = 600.0, 2.0
REGION = "us-east-1"
ALL = "all"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True, help="HOST:PORT of MinIO")
    parser.add_argument("--bucket", action="append", required=True)
    parser.add_argument("--accounts", type=Path, required=True, help="a folder with a folder for each role")
    parser.add_argument("--job", help="the job whose roles they are")
    arguments = parser.parse_args(words)
    user, password = os.environ["MINIO_ROOT_USER"], os.environ["MINIO_ROOT_PASSWORD"]
    http = PoolManager(timeout=Timeout(10), retries=False)
    store = Minio(arguments.server, user, password, secure=False, region=REGION, http_client=http)
    await_minio(store)
    for bucket in arguments.bucket:
        if not store.bucket_exists(bucket):
            store.make_bucket(bucket)
    admin = MinioAdmin(endpoint=arguments.server, credentials=StaticProvider(user, password), secure=False, region=REGION)
    allowed = policies_of(arguments.bucket, arguments.job)
    for folder in sorted(path for path in arguments.accounts.iterdir() if path.is_dir() and not path.name.startswith(".")):
        make_account(admin, folder, allowed)


def await_minio(store: Minio, wait_seconds: float = WAIT_SECONDS) -> None:
    """Returns once MinIO answers a signed request; what it last said is raised after the seconds."""
    end = time.monotonic() + wait_seconds
    while True:
        try:
            store.list_buckets()
            return
        except (MinioException, HTTPError):
            if time.monotonic() > end:
                raise
        time.sleep(PAUSE_SECONDS)


def policies_of(buckets: Sequence[str], job: str | None) -> dict[str, Any]:
    """What each role may do."""
    everything = [word for bucket in buckets for word in (f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*")]
    actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket", "s3:GetBucketLocation"]
    whole = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": everything}]}
    if job is None:
        return {ALL: whole}
    from fl_core.job import load_job
    from fl_core.policy import policies

    return {ALL: whole, **policies(load_job(job), buckets[0])}


def make_account(admin: MinioAdmin, folder: Path, allowed: dict[str, Any]) -> None:
    """The account of a role, with its policy and no more."""
    role, access = folder.name, (folder / "access").read_text().strip()
    if role not in allowed:
        raise SystemExit(f"The job has no role '{role}'; its roles are {', '.join(allowed)}.")
    admin.user_add(access, (folder / "secret").read_text().strip())
    admin.policy_add(f"paddlefl-{role}", policy=allowed[role])
    admin.policy_set(f"paddlefl-{role}", user=access)
    print(f"The account of '{role}' is there.", flush=True)


if __name__ == "__main__":
    main()
