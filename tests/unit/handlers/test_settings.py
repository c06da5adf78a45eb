"""What kopf is told: watch, and do nothing else."""

from orrery.handlers.watch import _settings


def test_kopf_writes_nothing_and_scans_nothing() -> None:
    settings = _settings(within=90, lasts=240)

    assert not settings.posting.enabled
    assert settings.peering.standalone
    assert settings.scanning.disabled
    assert settings.process.ultimate_exiting_timeout is None


def test_no_limit_of_workers_lets_one_object_wait_for_another() -> None:
    assert _settings(within=90, lasts=240).queueing.worker_limit is None


def test_a_watch_outlives_the_bookmarks_of_the_server() -> None:
    settings = _settings(within=90, lasts=240)

    assert settings.watching.inactivity_timeout > 60
    assert settings.watching.client_timeout is not None
    assert settings.watching.server_timeout is not None
    assert settings.watching.client_timeout > settings.watching.server_timeout
