"""Plays a scenario in real time: the outside of it, which starts the stage and listens.

The stage (`stage.py`) is a process of its own, PID 1 of new namespaces where the machine allows
them. It is held by two threads: it dies with this process by the kernel's word, and it ends when
its standard input does. So whatever becomes of the harness, nothing of a run stays behind. On a
plain machine, where there are no namespaces, the next start sweeps what is left.
"""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from os import getpid
from pathlib import Path

from fieldproof.faults import PowerCut
from fieldproof.live.messages import (
    Crashed,
    NotHere,
    Played,
    Refused,
    Request,
    Status,
    encode,
    read_said,
)
from fieldproof.live.view import LiveStatus
from fieldproof.options import LiveOptions
from fieldproof.scenario import Scenario, to_json
from fieldproof_simulators.machines.live.isolation import can_isolate
from fieldproof_simulators.machines.live.namespaces import die_with_parent, isolated_command
from fieldproof_simulators.machines.live.runtime import Runtime, sweep

OnStatus = Callable[[LiveStatus], None]

STAGE = (sys.executable, "-m", "fieldproof.live.stage")

ENDING_S = 20
"""How long a stage has to end by itself once nobody listens any more."""


class StageFailed(RuntimeError):
    """The stage itself failed; it is the harness's fault. One sentence."""


def run(
    scenario: Scenario,
    seed: int,
    run_dir: Path,
    options: LiveOptions,
    on_status: OnStatus = lambda status: None,
) -> None:
    """Let the scenario happen in real time. Raises NotHere where this machine cannot."""
    sweep()
    isolation = _isolation(scenario, options.isolate)
    (run_dir / "scenario.json").write_bytes(to_json(scenario, seed))
    logs = run_dir / "processes"
    logs.mkdir()
    with Runtime(run_dir.name) as runtime, (logs / "stage.log").open("wb") as log:
        request = Request(
            scenario, seed, str(run_dir.resolve()), str(runtime.path), isolation, options
        )
        command = isolated_command(STAGE) if isolation else _plain_command(scenario)
        stage = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            preexec_fn=partial(die_with_parent, getpid()),
            start_new_session=True,  # Ctrl-C is for us alone: the stage then ends in good order
        )
        runtime.ledger.process(stage.pid)
        try:
            _listen(stage, request, on_status)
        finally:
            _end(stage)


def _listen(stage: "subprocess.Popen[bytes]", request: Request, on_status: OnStatus) -> None:
    """Hand over the request and hear the stage out."""
    assert stage.stdin is not None and stage.stdout is not None
    try:
        stage.stdin.write(encode(request))
        stage.stdin.flush()
    except BrokenPipeError:
        pass  # it ended at once; what it had to say stands in its log
    for line in stage.stdout:
        match read_said(line):
            case Status(status):
                on_status(status)
            case Refused(why):
                raise NotHere(why)
            case Crashed(error):
                raise StageFailed(error)
            case Played():
                return
    log = Path(request.run_dir) / "processes" / "stage.log"
    last = (log.read_text(errors="replace").strip().splitlines() or ["nothing"])[-1]
    raise StageFailed(f"the stage ended in the middle of the run; the end of {log} says: {last}")


def _end(stage: "subprocess.Popen[bytes]") -> None:
    """Nobody listens any more; the stage ends by itself, or is ended."""
    assert stage.stdin is not None and stage.stdout is not None
    stage.stdin.close()
    try:
        stage.wait(ENDING_S)
    except subprocess.TimeoutExpired:
        stage.kill()
        stage.wait()
    stage.stdout.close()


def _cuts_power(scenario: Scenario) -> bool:
    return any(isinstance(timed.fault, PowerCut) for timed in scenario.faults)


def _plain_command(scenario: Scenario) -> list[str]:
    """The stage on the plain machine. A disk whose power fails is mounted where nobody else sees
    it: a namespace that another run makes meanwhile would keep it mounted."""
    if _cuts_power(scenario):
        return ["unshare", "--mount", "--propagation", "private", *STAGE]
    return list(STAGE)


def _isolation(scenario: Scenario, wanted: str) -> str:
    """How the run is isolated, for people; "" where it is not. Raises NotHere where it must be, and
    cannot: a disk whose power fails is a loop device, which is root's of the plain machine."""
    if _cuts_power(scenario):
        if wanted == "userns":
            raise NotHere("A real power cut needs the plain machine: leave --isolate userns out.")
        return ""
    if wanted == "none":
        return ""
    able = can_isolate()
    if not able.ok and wanted == "userns":
        raise NotHere(f"{able.reason} {able.fix}")
    return "own namespaces" if able.ok else ""
