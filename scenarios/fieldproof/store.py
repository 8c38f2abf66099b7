"""The run store: where runs live on disk, and what makes a directory a run.

    runs/<scenario>-NNNN/    one run; the number is the next free one
    runs/latest              link to the run that was judged last

A run directory grows in three steps, each marked by a file that appears whole or not at all:
`scenario.json` (started: it repeats the run), `world.json` (the world ran to its end),
`verdict.json` (judged, so complete). A run without `world.json` is half-written: nothing can be
said about it, and it stays on disk until somebody deletes it. The store deletes nothing and gives
no name out twice. `asked.json` says how it was asked for. Whoever plays and judges a run holds a
lock on its directory, which the kernel frees with the process: a run without `world.json` that is
locked is in progress.
"""

import difflib
import fcntl
import importlib.metadata
import importlib.util
import os
import platform
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import msgspec

from fieldproof.options import Asked
from fieldproof.scenario import Capsule, Scenario, from_json, to_json
from fieldproof.verdict import SCHEMA, Report

ROOT_VARIABLE = "FIELDPROOF_RUNS"
LATEST = "latest"
ASKED = "asked.json"
PACKAGES = (
    "fieldproof_contract",
    "fieldproof_reference",
    "fieldproof_simulators",
    "fieldproof",
)


class StoreError(ValueError):
    """A run cannot be made, found or read. The text is one sentence for the user."""


class RunStore:
    """The runs under one root: `root`, else $FIELDPROOF_RUNS, else `runs` in this folder."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or Path(os.environ.get(ROOT_VARIABLE) or "runs")

    def new(self, scenario: Scenario, seed: int, asked: Asked | None = None) -> Path:
        """A fresh directory `<scenario>-NNNN` that holds the capsule, `versions.json`, how it was
        asked for, if that is said, and nothing else.

        Two programs that start at once get two directories. Raises StoreError where the root
        cannot be written."""
        versions = _versions()  # a tenth of a second, in which there is no directory yet
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            run_dir = self._claim(scenario.name)
            write_document(run_dir / "scenario.json", to_json(scenario, seed))
            write_document(run_dir / "versions.json", versions)
            if asked is not None:
                write_document(run_dir / ASKED, msgspec.json.encode(asked))
        except (FileExistsError, NotADirectoryError):
            raise self._no_folder() from None
        except OSError as error:
            raise StoreError(
                f"No run can be stored in {self.root}: {error.strerror}; "
                f"name another folder with --runs or ${ROOT_VARIABLE}."
            ) from None
        return run_dir

    @contextmanager
    def holding(self, run_dir: Path) -> Iterator[None]:
        """Meanwhile the run is in progress, and whoever opens it is told so."""
        descriptor = _opened(run_dir)
        with suppress(OSError):  # a file system without locks: nobody is told
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            os.close(descriptor)

    def complete(self, run_dir: Path) -> None:
        """Point `latest` at `run_dir`, which has just been judged, if it lies in this store."""
        if run_dir.resolve().parent != self.root.resolve():
            return
        fresh = self.root / f".{LATEST}-{os.getpid()}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(run_dir.name)
        fresh.replace(self.root / LATEST)

    def open(self, text: str) -> Path:
        """The directory of the run that `text` names: a run's name, a path, or `latest`.

        Its capsule can be read and its world reached its end. Raises StoreError otherwise."""
        run_dir = self._find(text)
        scenario = read_capsule(run_dir).scenario
        if _is_held(run_dir):
            raise StoreError(
                f"Run {run_dir} is in progress: somebody plays or judges it now; wait for its "
                "report, or end it."
            )
        if not (run_dir / "world.json").is_file():
            raise StoreError(
                f"Run {run_dir} is half-written: it has no world.json, so its world never reached "
                f"the end; start it again with `{_again(run_dir, scenario)}`."
            )
        return run_dir

    def _no_folder(self) -> StoreError:
        return StoreError(
            f"{self.root} is no folder, so it holds no runs: name a folder with --runs or "
            f"${ROOT_VARIABLE}."
        )

    def _claim(self, scenario_name: str) -> Path:
        numbered = re.compile(re.escape(scenario_name) + r"-(\d{4,})")
        taken = [numbered.fullmatch(entry.name) for entry in self.root.iterdir()]
        number = max((int(match[1]) for match in taken if match), default=0)
        while True:
            number += 1
            run_dir = self.root / f"{scenario_name}-{number:04d}"
            try:
                run_dir.mkdir()  # the one step that only one of several programs can win
            except FileExistsError:
                continue
            return run_dir

    def _find(self, text: str) -> Path:
        if self.root.exists() and not self.root.is_dir():
            raise self._no_folder()
        if text == LATEST:
            link = self.root / LATEST
            if not link.is_dir():
                raise StoreError(
                    f"There is no latest run in {self.root}: none has been judged there yet."
                )
            return self.root / link.resolve().name
        for candidate in (self.root / text, Path(text)):
            if candidate.is_dir():
                return candidate
        near = difflib.get_close_matches(text, self._names(), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "`fieldproof run` makes one."
        raise StoreError(f"There is no run {text!r}, neither in {self.root} nor as a path: {hint}")

    def _names(self) -> list[str]:
        if not self.root.is_dir():
            return []
        return sorted(entry.name for entry in self.root.iterdir() if entry.is_dir())


def read_capsule(run_dir: Path) -> Capsule:
    """The scenario and seed of the run in `run_dir`. Raises StoreError."""
    path = run_dir / "scenario.json"
    try:
        return from_json(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise StoreError(f"{run_dir} is not a run: it has no scenario.json.") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise StoreError(str(error)) from None


def _again(run_dir: Path, scenario: Scenario) -> str:
    """The command that starts a run again from its capsule, as it was asked for."""
    words = ["fieldproof", "run", str(run_dir / "scenario.json")]
    with suppress(OSError, msgspec.DecodeError):
        asked = msgspec.json.decode((run_dir / ASKED).read_bytes(), type=Asked)
        words += asked.words(scenario.tiers)
    return shlex.join(words)


def _opened(run_dir: Path) -> int:
    return os.open(run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _is_held(run_dir: Path) -> bool:
    """Whether somebody else plays or judges this run."""
    descriptor = _opened(run_dir)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def read_report(run_dir: Path) -> Report:
    """The report that is stored in `run_dir`. Raises StoreError."""
    path = run_dir / "verdict.json"
    again = f"judge the run with `fieldproof check {run_dir}`"
    try:
        report = msgspec.json.decode(path.read_bytes(), type=Report)
    except FileNotFoundError:
        raise StoreError(f"Run {run_dir} has no verdict.json yet: {again}.") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from None
    except msgspec.DecodeError as error:
        raise StoreError(f"{path} is not a verdict ({error}): {again}.") from None
    if report.schema != SCHEMA:
        raise StoreError(f"{path} has schema {report.schema!r}, not {SCHEMA!r}: {again}.")
    return report


def write_document(path: Path, data: bytes) -> None:
    """Give `path` this content at once: a reader sees the old file or the new one, never a part."""
    fresh = path.with_name(f".{path.name}-{os.getpid()}")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _versions() -> bytes:
    versions = {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "commit": _commit(Path(__file__).resolve().parents[2]),
        "code_sha256": _code_sha256(),
        **{
            name: importlib.metadata.version(name)
            for name in ("fieldproof", "numpy", "simpy", "msgspec")
        },
    }
    return msgspec.json.format(msgspec.json.encode(versions), indent=1)


def _code_sha256() -> str:
    """Which code runs here, committed or not: SHA-256 over the source files of our packages."""
    digest = sha256()
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            for path in sorted(Path(folder).rglob("*.py")):
                digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _commit(checkout: Path) -> str | None:
    """The commit that is checked out, read from git's files; None outside a checkout."""
    git = checkout / ".git"
    try:
        if git.is_file():  # a linked work tree
            git = checkout / git.read_text().removeprefix("gitdir: ").strip()
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        common = git / "commondir"
        refs = git / common.read_text().strip() if common.exists() else git
        if (refs / name).exists():
            return (refs / name).read_text().strip()
        packed = (refs / "packed-refs").read_text().splitlines()
    except OSError:
        return None
    return next((line.split()[0] for line in packed if line.endswith(f" {name}")), None)
