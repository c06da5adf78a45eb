"""`orrery continent`: what it prints is what kubectl takes."""

import re

import yaml
from click.testing import CliRunner

from orrery.adapters.kube.kubeconfig import parse_kubeconfig
from orrery.cli import main
from orrery.planning.rights import render_rbac


def test_rbac_is_printed_for_kubectl_with_the_way_on() -> None:
    said = CliRunner().invoke(main, ["continent", "rbac"])

    assert said.exit_code == 0
    assert list(yaml.safe_load_all(said.output)) == list(render_rbac("orrery"))
    assert "kubectl --context CONTINENT apply -f rbac.yaml" in said.output
    assert r"-o jsonpath='{.data.ca\.crt}'" in said.output
    assert "cluster: {kubeconfigSecretRef: {name: CONTINENT-kubeconfig" in said.output


def test_another_install_has_another_account() -> None:
    said = CliRunner().invoke(main, ["continent", "rbac", "--install", "second"])

    assert set(re.findall(r"\b\w+-hub\b", said.output)) == {"second-hub"}


def test_an_install_that_cannot_be_is_refused() -> None:
    said = CliRunner().invoke(main, ["continent", "rbac", "--install", "No-One"])

    assert said.exit_code == 1
    assert "1 to 16 characters of a-z and 0-9" in said.output


def test_the_kubeconfig_of_the_comment_is_one_that_is_taken() -> None:
    text = yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "preferences": {},
            "current-context": "continent",
            "contexts": [
                {"name": "continent", "context": {"cluster": "continent", "user": "orrery-hub"}}
            ],
            "clusters": [{"name": "continent", "cluster": {"server": "https://192.0.2.7:6443"}}],
            "users": [{"name": "orrery-hub", "user": {"token": "t"}}],
        }
    )

    assert parse_kubeconfig(text).server == "https://192.0.2.7:6443"
