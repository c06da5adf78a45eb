"""Config: values that cannot work are refused at once, with what is allowed."""

from typing import Any

import pytest
from click.testing import CliRunner

from orrery.cli.run import run
from orrery.config import Config
from orrery.errors import InvalidSpec


def test_the_defaults_can_be_used() -> None:
    config = Config()

    assert config.install == "orrery"
    assert config.namespace == "orrery-system"
    assert config.metrics_address == config.health_address == "127.0.0.1"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("install", "a-b", "install is 'a-b', must be 1 to 16 characters of a-z and 0-9"),
        ("install", "", "install is '', must be 1 to 16"),
        ("install", "x" * 17, "must be 1 to 16 characters"),
        ("namespace", "Team", "namespace is 'Team', must be a name"),
        ("lease", "-x", "lease is '-x', must be a name"),
        ("health_port", 65536, "health-port is 65536, must be from 0 to 65535"),
        ("metrics_port", -1, "metrics-port is -1, must be from 0 to 65535"),
        ("resync_seconds", 0, "resync-seconds is 0, must be from 1 to 86400"),
        ("probe_seconds", 0, "probe-seconds is 0, must be from 0.1 to 300"),
        ("log_format", "xml", "log-format is 'xml', must be one of text, json"),
        ("log_level", "loud", "log-level is 'loud', must be one of debug, info, warning, error"),
    ],
)
def test_a_value_that_cannot_work_is_refused(field: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidSpec) as refusal:
        Config(**{field: value})

    assert message in refusal.value.message


def test_an_environment_variable_is_an_option_too() -> None:
    result = CliRunner().invoke(run, env={"ORRERY_INSTALL": "Not-Good", "NO_COLOR": "1"})

    assert result.exit_code == 2
    assert "install is 'Not-Good'" in result.output


def test_every_setting_has_an_option() -> None:
    options = {parameter.name for parameter in run.params}

    assert set(Config.__dataclass_fields__) == options
