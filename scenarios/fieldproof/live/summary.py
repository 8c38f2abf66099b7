"""The end of a live run: everybody is asked to stop and what they know goes into `world.json`."""

import os
from pathlib import Path

from fieldproof.live.build import Built
from fieldproof.live.inflict import ORDERS, Inflicted
from fieldproof.live.merge import merge, read_facts
from fieldproof.options import LIVE
from fieldproof.oracle import worldfile
from fieldproof.oracle.worldfile import MachineFigures, ProcessFigures
from fieldproof.scenario import Riometer
from fieldproof.systems.process import REFERENCE
from fieldproof_simulators.lines.live.messages import PlayerResult
from fieldproof_simulators.links.live.process import PumpResult
from fieldproof_simulators.machines.live import proc
from fieldproof_simulators.machines.live.clock import machine_clock_ns

ENDING_S = 10.0
"""How long pump and player have to write what they know."""


def close(built: Built, settled_ns: int | None, declined: str) -> dict[str, object]:
    """End the run; the content of `world.json` but for the wall time."""
    ground = built.ground
    ends_ns = ground.calendar.now_ns()
    machine = _machine(built)
    processes = [*_own(built), *_stop_hosts(built)]
    played = ground.player.stop(ENDING_S)
    pumped = ground.pump.stop(ENDING_S)
    return {
        "schema": worldfile.SCHEMA,
        "system": _system(built),
        "tier": LIVE,
        "isolation": built.request.isolation,
        "commands": _commands(built),
        "options": built.request.options,
        "declined": declined,
        "begins_utc_ns": ground.utc.begins_utc_ns,
        "judged_ns": [built.from_ns, built.to_ns],
        "ends_ns": ends_ns,
        "leaps_ns": list(ground.utc.leaps_ns),
        "settled": settled_ns is not None,
        "settled_ns": settled_ns,
        "wire": pumped.wire,
        "faults": [
            {
                "at": item.timed.when,
                "until": item.timed.until,
                "kind": type(item.timed.fault).__struct_config__.tag,
                "fired": _fired(item, pumped, played),
            }
            for item in built.inflictor.plan
        ],
        "struck_ns": [built.inflictor.struck_ns(item) for item in built.inflictor.plan],
        "generators_end": pumped.generators_end,
        "hosts": {
            name: {
                "lives": host.lives,
                "utc_offset": list(host.clock.history),
                "addresses": _faces(built, name),
            }
            for name, host in ground.hosts.items()
        },
        "rate_segments": {
            site.name: [
                (0, part.drift_ppb) for part in site.instruments if isinstance(part, Riometer)
            ]
            for site in built.scenario.sites
        },
        "links": [{**row, "backend": built.wiring.backend} for row in pumped.achieved],
        "lines": played.rows,
        "machine": machine,
        "processes": processes,
        "log_sha256": _merge(built, ends_ns),
    }


def _own(built: Built) -> list[ProcessFigures]:
    """What the harness itself has taken so far: this process, the pump, the player, the cables."""
    ground = built.ground
    pids = {"stage": [os.getpid()], "pump": [ground.pump.pid], "player": [ground.player.pid]}
    pids["socat"] = [cable.pid for cable in ground.cables.values() if cable.pid is not None]
    figures = []
    for name, group in pids.items():
        found = [known for pid in group if (known := proc.stat(pid)) is not None]
        ticks = sum(known.utime_ticks + known.stime_ticks for known in found)
        rss_bytes = sum(known.rss_bytes for known in found)
        figures.append(ProcessFigures(name, ticks / proc.TICKS_PER_S, rss_bytes / 1e6))
    return figures


def _stop_hosts(built: Built) -> list[ProcessFigures]:
    """SIGTERM to all, edges first; what each took. One that does not end as it should is a fact."""
    figures = []
    for host in (*built.edges, built.center):
        if host.state == "frozen":
            host.thaw()
        resident = host.usage().rss_bytes
        how = host.stop()
        if how is not None and (how.code != 0 or not how.in_time):
            built.facts.note(host.name, "host died", code=how.code, how=how.words)
        used = host.usage()
        figures.append(ProcessFigures(host.name, used.utime_s + used.stime_s, resident / 1e6))
    return figures


def _merge(built: Built, ends_ns: int) -> str:
    """Write the run's log; its SHA-256."""
    run_dir = Path(built.request.run_dir)
    facts = [*built.facts.entries]
    for folder in ("links", "lines"):
        facts += read_facts(run_dir / folder / "facts.jsonl")
    events = [(name, run_dir / "processes" / f"{name}.events.jsonl") for name in built.ground.hosts]
    merged = merge(
        run_dir / "log.jsonl",
        built.ground.utc,
        facts,
        events,
        built.ground.calendar.began_ns,
        built.ground.calendar.now_ns(),
    )
    return merged.sha256


def _faces(built: Built, host: str) -> list[str]:
    """Under which addresses the others saw a host, where not the scenario's."""
    face = built.wiring.site_faces.get(host)
    return [] if face is None else [face]


def _fired(item: Inflicted, pumped: PumpResult, played: PlayerResult) -> int:
    """How often a fault acted: datagrams, bytes, or strikes."""
    if type(item.timed.fault) in ORDERS:
        return pumped.fired.get(item.index, 0)
    return played.fired.get(item.index, item.struck)


def _machine(built: Built) -> MachineFigures:
    """How this process was woken, and whether the machine's clock was set meanwhile."""
    late = built.watch.lateness()
    stepped_ns = machine_clock_ns() - built.machine_clock_ns
    return MachineFigures(late.p99_ns / 1e6, late.max_ns / 1e6, stepped_ns / 1e6)


def _commands(built: Built) -> dict[str, str]:
    options = built.request.options
    return {
        "edge": options.edge or REFERENCE["edge"],
        "center": options.center or REFERENCE["center"],
    }


def _system(built: Built) -> str:
    """The name of what is under test."""
    options = built.request.options
    foreign = [
        f"{role} {said}"
        for role, said in (("edge", options.edge), ("center", options.center))
        if said
    ]
    return f"reference with {', '.join(foreign)}" if foreign else "reference"
