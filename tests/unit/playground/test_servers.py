"""Finding servers: the order of places, versions, and what is said when one is missing."""

import asyncio
from pathlib import Path

import pytest

from orrery.playground.build import module_folder, module_version, provide, version_flags
from orrery.playground.failures import PrerequisiteMissing
from orrery.playground.servers import (
    ETCD,
    KUBE_APISERVER,
    find_nomad,
    find_server,
    parse_version,
    require_nomad,
)

pytestmark = pytest.mark.usefixtures("bare_machine")


def program(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_named_assets_come_before_path_and_path_before_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = program(tmp_path / "cache/orrery/bin/kube-apiserver", "Kubernetes v1.31.0")
    assert found_at(tmp_path) == cached

    on_path = program(tmp_path / "path/kube-apiserver", "Kubernetes v1.32.0")
    assert found_at(tmp_path) == on_path

    named = program(tmp_path / "assets/kube-apiserver", "Kubernetes v1.33.0")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(named.parent))
    assert found_at(tmp_path) == named


def found_at(_: Path) -> Path | None:
    found = find_server(KUBE_APISERVER)
    return found.path if found else None


def test_nothing_found_means_build() -> None:
    assert find_server(ETCD) is None


def test_named_assets_without_the_server_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))

    with pytest.raises(PrerequisiteMissing, match="which holds no etcd: correct it, or unset it"):
        find_server(ETCD)


def test_an_old_server_is_named_with_both_versions_and_a_remedy(tmp_path: Path) -> None:
    path = program(tmp_path / "path/kube-apiserver", "Kubernetes v1.29.4")

    with pytest.raises(PrerequisiteMissing) as refused:
        find_server(KUBE_APISERVER)

    assert refused.value.message == (
        f"{path} is version 1.29.4, version 1.30 or newer is wanted: remove it or put a newer"
        " kube-apiserver before it on PATH; without any, one is built"
    )


def test_a_program_that_does_not_run_is_refused(tmp_path: Path) -> None:
    path = program(tmp_path / "path/etcd", "etcd Version: 3.6.4")
    path.write_text("#!/bin/sh\nexit 1\n")

    with pytest.raises(PrerequisiteMissing, match="does not tell its version"):
        find_server(ETCD)


async def test_without_go_the_remedy_is_said() -> None:
    with pytest.raises(PrerequisiteMissing) as refused:
        await provide(ETCD, print)

    assert refused.value.message.startswith("no etcd was found, and no Go to build one: install Go")


async def test_an_old_go_is_named(tmp_path: Path) -> None:
    go = program(tmp_path / "path/go", "go1.22.1")

    with pytest.raises(PrerequisiteMissing) as refused:
        await provide(KUBE_APISERVER, print)

    assert f"{go} is go1.22.1, Go 1.24 or newer is wanted" in refused.value.message


async def test_a_build_is_told_checked_and_kept(tmp_path: Path) -> None:
    said: list[str] = []
    go = program(tmp_path / "path/go", "")
    go.write_text(FAKE_GO)

    built = await provide(ETCD, said.append)

    assert built.path == tmp_path / "cache/orrery/bin/etcd"
    assert built.version == "3.6.4"
    assert "this usually takes 10 to 90 seconds" in said[0]
    assert sorted(path.name for path in built.path.parent.iterdir()) == [".lock", "etcd"]


async def test_a_failed_build_leaves_nothing_and_shows_the_compiler(tmp_path: Path) -> None:
    go = program(tmp_path / "path/go", "")
    go.write_text(FAKE_GO.replace("shift", "echo 'disk full' >&2; exit 1"))

    with pytest.raises(PrerequisiteMissing, match="disk full"):
        await provide(ETCD, print)

    assert [path.name for path in (tmp_path / "cache/orrery/bin").iterdir()] == [".lock"]


async def test_of_two_builders_one_builds_and_the_other_says_that_it_waits(tmp_path: Path) -> None:
    waiting = tmp_path / "waiting"
    go = program(tmp_path / "path/go", "")
    go.write_text(FAKE_GO.replace("shift\n", SLOW.format(tmp_path=tmp_path), 1))

    def said(line: str) -> None:
        if line.startswith("waiting for another build to finish"):
            waiting.touch()

    async with asyncio.timeout(30):
        first, second = await asyncio.gather(provide(ETCD, said), provide(ETCD, said))

    assert first == second
    assert (tmp_path / "builds").read_text() == "one\n"


SLOW = """
echo one >> {tmp_path}/builds
while [ ! -e {tmp_path}/waiting ]; do /bin/sleep 0.05; done
shift
"""
FAKE_GO = """#!/bin/sh
if [ "$1" = env ]; then echo go1.25.0; exit 0; fi
shift
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\necho "etcd Version: 3.6.4"\\n' > "$2"
/bin/chmod +x "$2"
"""


def test_nomad_is_found_where_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "path/nomad", "Nomad v1.9.0")
    named = program(tmp_path / "elsewhere/nomad", "Nomad v2.0.6-dev")
    monkeypatch.setenv("ORRERY_NOMAD", str(named))

    found = find_nomad()

    assert found
    assert (found.path, found.version) == (named, "2.0.6-dev")


@pytest.mark.parametrize(
    ("says", "words"),
    [
        pytest.param("Nomad v2.0.3", "Nomad 2.0.3 is too old", id="old"),
        pytest.param("Nomad v2.0.4-beta.1", "Nomad 2.0.4-beta.1 is too old", id="before-release"),
        pytest.param("Nomad v3.0.0", "Nomad 3.0.0 is too new", id="new"),
        pytest.param("Nomad", "does not tell its version", id="no-version"),
    ],
)
def test_unsupported_nomad_is_refused_at_once_with_a_remedy(
    tmp_path: Path, says: str, words: str
) -> None:
    path = program(tmp_path / "path/nomad", f"{says}\nBuildDate 2026-01-01T00:00:00Z")

    with pytest.raises(PrerequisiteMissing) as refused:
        find_nomad()

    assert refused.value.message.startswith(f"{path}")
    assert words in refused.value.message
    assert "Supported Nomad: oldest 2.0.4" in refused.value.message
    assert "or use simulated regions with --nomad simulated" in refused.value.message


def test_a_missing_nomad_names_its_vendor_and_the_alternative() -> None:
    assert find_nomad() is None

    with pytest.raises(PrerequisiteMissing) as missing:
        require_nomad()

    assert "install Nomad from its vendor and put it on PATH" in missing.value.message
    assert "--nomad simulated" in missing.value.message


def test_the_built_api_server_knows_its_version() -> None:
    version = module_version(module_folder(), KUBE_APISERVER.module)

    assert version_flags(KUBE_APISERVER, version) == [
        f"-X k8s.io/component-base/version.gitVersion={version}",
        "-X k8s.io/component-base/version.gitMajor=1",
        "-X k8s.io/component-base/version.gitMinor=34",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Kubernetes v1.34.3", (1, 34, 3), id="kubernetes"),
        pytest.param("etcd Version: 3.6.4\nGit SHA: x", (3, 6, 4), id="etcd"),
        pytest.param("Nomad v2.0.6-dev", (2, 0, 6), id="nomad"),
        pytest.param("go1.24", (1, 24), id="go"),
        pytest.param("devel", None, id="none"),
    ],
)
def test_versions_are_read(text: str, expected: tuple[int, ...] | None) -> None:
    assert parse_version(text) == expected
