"""Whether what a node asks for is an effect at all: its types, before anything is carried out.

What has the wrong type is a programming error and ends the node that asked (law 7). What has the
right types and cannot be done is a failure, and is told to the node (law 1).
"""

from collections.abc import Callable, Mapping

from fieldproof_contract import (
    Address,
    Append,
    ApplyDelta,
    CloseStream,
    DrawDay,
    Effect,
    Log,
    MakeDelta,
    OpenStream,
    Publish,
    PullTree,
    Remove,
    Rename,
    Replace,
    RunEngine,
    SendDatagram,
    ServeTree,
    StopEngine,
    Sync,
    Truncate,
    WriteStream,
)

MOST_SHOWN = 200
"""Characters of what is no effect that its complaint shows."""


def check(effect: Effect) -> None:
    """Raise TypeError where this is no effect, or a part of it has the wrong type."""
    is_sound = _SOUND.get(type(effect))
    if is_sound is None or not is_sound(effect):
        shown = repr(effect)
        shown = shown if len(shown) <= MOST_SHOWN else f"{shown[:MOST_SHOWN]}..."
        raise TypeError(f"{shown} is no effect: see the types in the contract.")


def _are_texts(*values: object) -> bool:
    return all(isinstance(value, str) for value in values)


def _is_address(to: object) -> bool:
    return isinstance(to, Address) and isinstance(to.host, str) and isinstance(to.port, int)


def _is_detail(detail: object) -> bool:
    return isinstance(detail, Mapping) and all(
        isinstance(key, str) and isinstance(value, str | int) for key, value in detail.items()
    )


def _has_path_and_data(effect: Append | Replace) -> bool:
    return isinstance(effect.path, str) and isinstance(effect.data, bytes)


def _are_bytes(*values: object) -> bool:
    return all(isinstance(value, bytes) for value in values)


def _is_job(job: object) -> bool:
    match job:
        case MakeDelta(source, target):
            return _are_bytes(source, target)
        case ApplyDelta(source, delta, most_bytes):
            return _are_bytes(source, delta) and isinstance(most_bytes, int)
        case ServeTree(port, root):
            return isinstance(port, int) and isinstance(root, str)
        case PullTree(peer, folder, like, into, most_bytes):
            named = _is_address(peer) and _are_texts(folder, like, into)
            return named and isinstance(most_bytes, int)
        case DrawDay(document):
            return isinstance(document, bytes)
    return False


_SOUND: Mapping[type, Callable[..., bool]] = {
    Append: _has_path_and_data,
    Replace: _has_path_and_data,
    Rename: lambda effect: _are_texts(effect.path, effect.to),
    Truncate: lambda effect: isinstance(effect.path, str) and isinstance(effect.size, int),
    Remove: lambda effect: isinstance(effect.path, str),
    Sync: lambda effect: isinstance(effect.paths, tuple) and _are_texts(*effect.paths),
    SendDatagram: lambda effect: (
        isinstance(effect.port, int) and _is_address(effect.to) and isinstance(effect.data, bytes)
    ),
    OpenStream: lambda effect: isinstance(effect.stream, str) and _is_address(effect.to),
    WriteStream: lambda effect: isinstance(effect.stream, str) and isinstance(effect.data, bytes),
    CloseStream: lambda effect: isinstance(effect.stream, str),
    RunEngine: lambda effect: isinstance(effect.run, str) and _is_job(effect.job),
    StopEngine: lambda effect: isinstance(effect.run, str),
    Publish: lambda effect: isinstance(effect.topic, str),
    Log: lambda effect: isinstance(effect.what, str) and _is_detail(effect.detail),
}
