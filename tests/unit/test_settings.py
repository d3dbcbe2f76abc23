"""Settings: nova's names and defaults, the order of the layers, a sentence for what is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from regente.conducting import manager_of, options_of
from regente.settings import Settings
from regente.settings_file import Loaded, SettingsError, load, options, variable
from statemachines.rules import SETTINGS


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("REGENTE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def of_file(text: str, name: str = "regente.toml") -> Loaded:
    Path(name).write_text(text)
    return load(name)


def test_the_five_options_of_novas_table_have_their_defaults() -> None:
    conductor = load().settings.conductor

    assert conductor.workers == (os.cpu_count() or 1)
    assert conductor.migrate_max_retries == -1
    assert conductor.topic == "regente"
    assert conductor.use_local is None
    assert conductor.manager == "conductor.wiring.Conductor"


def test_everything_is_local_until_a_broker_is_configured() -> None:
    assert load().settings.is_local
    assert not of_file('[kafka]\nbootstrap_servers = "a:9092"\n').settings.is_local
    assert of_file(
        '[kafka]\nbootstrap_servers = "a:9092"\n[conductor]\nuse_local = true\n'
    ).settings.is_local


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REGENTE_CONDUCTOR__WORKERS", "3")

    loaded = of_file("[conductor]\nworkers = 7\nmigrate_max_retries = 2\n")

    assert loaded.settings.conductor.workers == 3
    assert loaded.settings.conductor.migrate_max_retries == 2
    assert loaded.origin("conductor", "workers") == "environment REGENTE_CONDUCTOR__WORKERS"
    assert loaded.origin("conductor", "migrate_max_retries") == "file regente.toml"
    assert loaded.origin("conductor", "topic") == "default"


def test_an_option_of_the_command_line_wins_over_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REGENTE_STATE_DIR", "there")

    loaded = load(None, {"state_dir": "here"})

    assert loaded.settings.state_dir == Path("here")
    assert loaded.origin("", "state_dir") == "option --state-dir"


def test_the_file_is_found_by_name_by_the_environment_and_in_this_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("regente.toml").write_text("report_interval = 1\n")
    Path("other.toml").write_text("report_interval = 2\n")
    Path("third.toml").write_text("report_interval = 3\n")

    assert load().settings.report_interval == 1
    monkeypatch.setenv("REGENTE_CONFIG", "other.toml")
    assert load().settings.report_interval == 2
    assert load("third.toml").settings.report_interval == 3


def test_novas_group_default_is_the_top_of_the_file() -> None:
    loaded = of_file("[DEFAULT]\nservice_down_time = 30\n")

    assert loaded.settings.service_down_time == 30
    assert loaded.origin("", "service_down_time") == "file regente.toml"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[scheduler]\nmax_attempts = 0\n", r"\[scheduler\] max_attempts to be greater .* has 0"),
        ("[conductor]\nworkers = 'two'\n", r"\[conductor\] workers to be a valid integer.*'two'"),
        ("[conductor]\nwrokers = 2\n", r"only settings that exist, but .* sets \[conductor\] wrok"),
        ("conductor = 3\n", r"\[conductor\] to be a group of settings, but .* has 3"),
        ("report_interval = [\n", r"regente\.toml to be TOML, but"),
    ],
)
def test_a_wrong_setting_is_one_sentence_that_names_it(text: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        of_file(text)


def test_a_wrong_variable_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGENTE_SCHEDULER__MAX_ATTEMPTS", "0")

    with pytest.raises(SettingsError, match="but REGENTE_SCHEDULER__MAX_ATTEMPTS has '0'"):
        load()


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(SettingsError, match=r"--config to name a file .* no file nowhere\.toml"):
        load("nowhere.toml")


def test_every_setting_of_the_heart_is_published_and_no_other() -> None:
    assert set(Settings().heart()) == set(SETTINGS)


def test_every_option_says_what_it_is_and_can_be_set_by_a_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for group, name, value, what in options(Settings()):
        assert what, f"{group} {name}"
        if isinstance(value, bool | int | float) and name != "use_local":
            monkeypatch.setenv(variable(group, name), str(value))

    loaded = load()

    assert loaded.origin("libvirt", "live_migration_completion_timeout").startswith("environment")
    assert loaded.origin("", "cpu_allocation_ratio").startswith("environment")


def test_ratios_reach_the_scheduler_in_hundredths_and_disk_in_whole_gib() -> None:
    settings = Settings(cpu_allocation_ratio=1.5, reserved_host_disk_mb=1025)

    told = options_of(settings).scheduler

    assert told.cpu_allocation_ratio_percent == 150
    assert told.reserved_host_disk_gb == 2


@pytest.mark.parametrize(
    "path", ["nowhere.Nothing", "conductor.wiring.Nothing", "conductor.run.run"]
)
def test_a_manager_that_is_no_class_is_named(path: str) -> None:
    with pytest.raises(SettingsError, match=f"manager to name a class .* but {path}"):
        manager_of(path)
