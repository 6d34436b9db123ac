"""One Ray for all tests of real runs, and one cache, so that the teacher is trained once."""

from __future__ import annotations

import pytest
from s3_server import CREDENTIALS

from tune_kd.cluster.session import ray_session


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def ray_running():
    """Ray, started once; runs find it and leave it running. Its workers have the key of the tests' S3 server."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in CREDENTIALS.items():
            environment.setenv(name, value)
        with ray_session(None) as ray:
            environment.undo()
            yield ray
