"""The run store: numbers, the latest link, and what it says of directories that are no runs."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from fieldproof import store as stores
from fieldproof.scenario import Center, Link, Scenario, Site, to_json
from fieldproof.store import RunStore, StoreError, _commit, read_report, write_document

SCENARIO = Scenario(
    name="quiet-hour",
    story="Nothing goes wrong.",
    starts="2006-01-17T00:00Z",
    lasts="1h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat"), Center()),
)
AT_SEA = msgspec.structs.replace(SCENARIO, name="quiet-hour-at-sea")


def finish(run_dir: Path) -> None:
    """Give a new run what the world leaves behind."""
    write_document(run_dir / "world.json", b"{}")


def refusal(store: RunStore, text: str) -> str:
    """The sentence with which the store refuses to open a run."""
    with pytest.raises(StoreError) as caught:
        store.open(text)
    return str(caught.value)


def test_runs_are_numbered_per_scenario(tmp_path: Path):
    """A new run gets the number after the highest of its own scenario."""
    store = RunStore(tmp_path)
    (tmp_path / "quiet-hour-0041").mkdir()
    (tmp_path / "quiet-hour-at-sea-0099").mkdir()
    assert tmp_path / "quiet-hour-0042" == store.new(SCENARIO, 1)
    assert tmp_path / "quiet-hour-at-sea-0100" == store.new(AT_SEA, 1)


def test_numbers_go_on_past_four_digits(tmp_path: Path):
    """Run 10000 follows run 9999."""
    (tmp_path / "quiet-hour-9999").mkdir()
    assert "quiet-hour-10000" == RunStore(tmp_path).new(SCENARIO, 1).name


def test_runs_that_start_at_once_get_their_own_directories(tmp_path: Path):
    """Forty new runs in eight threads are forty directories, numbered without a gap."""
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: RunStore(tmp_path).new(SCENARIO, 1).name, range(40)))
    assert [f"quiet-hour-{number:04d}" for number in range(1, 41)] == sorted(runs)


def test_the_root_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without a root of its own the store uses $FIELDPROOF_RUNS, and else `runs`."""
    monkeypatch.setenv("FIELDPROOF_RUNS", str(tmp_path))
    assert tmp_path == RunStore().root
    monkeypatch.delenv("FIELDPROOF_RUNS")
    assert Path("runs") == RunStore().root


def test_a_new_run_can_be_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The capsule is the first file of a run, so that a run that stops at once can be repeated."""
    written = []

    def stop(path: Path, data: bytes) -> None:
        written.append((path.name, data))
        raise KeyboardInterrupt

    monkeypatch.setattr(stores, "write_document", stop)
    with pytest.raises(KeyboardInterrupt):
        RunStore(tmp_path).new(SCENARIO, 7)
    assert [("scenario.json", to_json(SCENARIO, 7))] == written


def test_a_new_run_says_what_made_it(tmp_path: Path):
    """versions.json names the interpreter, the packages, the platform and the commit or null."""
    versions = json.loads((RunStore(tmp_path).new(SCENARIO, 1) / "versions.json").read_text())
    named = "code_sha256 commit fieldproof implementation msgspec numpy platform python simpy"
    assert named.split() == sorted(versions)
    assert versions["commit"] is None or re.fullmatch("[0-9a-f]{40}", versions["commit"])


@pytest.mark.parametrize(
    ("files", "commit"),
    [
        ({".git/HEAD": "c" * 40}, "c" * 40),
        ({".git/HEAD": "ref: refs/heads/main\n", ".git/refs/heads/main": "a" * 40}, "a" * 40),
        (
            {
                ".git/HEAD": "ref: refs/heads/main\n",
                ".git/packed-refs": f"# pack-refs\n{'b' * 40} refs/heads/main\n",
            },
            "b" * 40,
        ),
        (
            {
                ".git": "gitdir: elsewhere/worktrees/w\n",
                "elsewhere/worktrees/w/HEAD": "ref: refs/heads/side\n",
                "elsewhere/worktrees/w/commondir": "../..\n",
                "elsewhere/refs/heads/side": "d" * 40,
            },
            "d" * 40,
        ),
        ({".git/HEAD": "ref: refs/heads/unborn\n"}, None),
        ({}, None),
    ],
    ids=["detached", "loose", "packed", "worktree", "unborn", "none"],
)
def test_the_commit_is_read_from_gits_files(
    tmp_path: Path, files: dict[str, str], commit: str | None
):
    """Every form in which git keeps the checked-out commit is read; where there is none, null."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert commit == _commit(tmp_path)


def test_a_run_opens_by_name_path_and_latest(tmp_path: Path):
    """The three ways to name a run lead to the same directory."""
    store = RunStore(tmp_path)
    run_dir = store.new(SCENARIO, 1)
    finish(run_dir)
    store.complete(run_dir)
    assert [run_dir] * 3 == [store.open(text) for text in (run_dir.name, str(run_dir), "latest")]


def test_latest_follows_the_run_judged_last(tmp_path: Path):
    """`latest` is replaced by each complete run, and only the link is."""
    store = RunStore(tmp_path)
    runs = [store.new(SCENARIO, 1) for _ in range(2)]
    for run_dir in runs:
        finish(run_dir)
        store.complete(run_dir)
        assert run_dir == store.open("latest")
    assert ["latest", "quiet-hour-0001", "quiet-hour-0002"] == sorted(
        entry.name for entry in tmp_path.iterdir()
    )


def test_a_run_from_elsewhere_does_not_become_the_latest(tmp_path: Path):
    """A run that lies outside the store is not linked from it."""
    stranger = RunStore(tmp_path / "theirs").new(SCENARIO, 1)
    RunStore(tmp_path / "ours").complete(stranger)
    assert not (tmp_path / "ours").exists()


def test_no_latest_run(tmp_path: Path):
    """In an empty store `latest` is refused with its root's name."""
    assert f"There is no latest run in {tmp_path}: none has been judged there yet." == refusal(
        RunStore(tmp_path), "latest"
    )


def test_an_unknown_run_suggests_near_ones(tmp_path: Path):
    """A mistyped run name is answered with the names that look like it."""
    store = RunStore(tmp_path)
    store.new(SCENARIO, 1)
    assert refusal(store, "quiet-hour-001").endswith("did you mean quiet-hour-0001?")


def test_a_half_written_run_is_recognised(tmp_path: Path):
    """A run without world.json is refused with the command that starts it again."""
    store = RunStore(tmp_path)
    run_dir = store.new(SCENARIO, 1)
    assert (
        f"Run {run_dir} is half-written: it has no world.json, so its world never reached "
        f"the end; start it again with `fieldproof run {run_dir}/scenario.json`."
    ) == refusal(store, run_dir.name)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("scenario.json", b"{", "is not a scenario capsule: Input data was truncated."),
        ("scenario.json", b'{"schema": "x"}', "is not a scenario capsule: Object missing"),
    ],
)
def test_unreadable_documents_are_named(tmp_path: Path, name: str, content: bytes, sentence: str):
    """A damaged document is refused by its path and the reason."""
    store = RunStore(tmp_path)
    run_dir = store.new(SCENARIO, 1)
    finish(run_dir)
    (run_dir / name).write_bytes(content)
    assert f"{run_dir / name} {sentence}" in refusal(store, run_dir.name)


def test_a_directory_that_is_no_run(tmp_path: Path):
    """A directory without a capsule is not taken for a run."""
    assert f"{tmp_path} is not a run: it has no scenario.json." == refusal(
        RunStore(tmp_path / "runs"), str(tmp_path)
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "Run {run} has no verdict.json yet: judge the run with `fieldproof check {run}`."),
        (b"[]", "{run}/verdict.json is not a verdict (Expected `object`, got `array`): judge the "),
    ],
)
def test_a_report_that_cannot_be_read(tmp_path: Path, content: bytes | None, sentence: str):
    """A missing or damaged verdict.json is refused with the command that makes it."""
    if content is not None:
        (tmp_path / "verdict.json").write_bytes(content)
    with pytest.raises(StoreError) as caught:
        read_report(tmp_path)
    assert str(caught.value).startswith(sentence.format(run=tmp_path))


def test_a_root_that_cannot_be_written(tmp_path: Path):
    """A file where the root should be is refused with the ways out."""
    (tmp_path / "runs").write_text("")
    with pytest.raises(StoreError, match=r"--runs or \$FIELDPROOF_RUNS"):
        RunStore(tmp_path / "runs").new(SCENARIO, 1)


def test_a_document_is_written_whole_or_not_at_all(tmp_path: Path):
    """A write replaces the old content and leaves nothing else behind."""
    for content in (b"old, and longer", b"new"):
        write_document(tmp_path / "a.json", content)
    assert b"new" == (tmp_path / "a.json").read_bytes()
    assert ["a.json"] == [entry.name for entry in tmp_path.iterdir()]
