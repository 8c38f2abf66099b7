"""Whether what a node asks for is an effect at all: its types, before anything is carried out.

What has the wrong type is a programming error, and ends the node that asked. What has the right
types and cannot be done (a bad path, a datagram too long) is a failure like any of an operating
system, and is told to the node. An error that is neither is the harness's own, and is hidden by
neither.
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


def check(effect: Effect) -> None:
    """Raise TypeError where this is no effect, or a part of it has the wrong type."""
    is_sound = _SOUND.get(type(effect))
    if is_sound is None or not is_sound(effect):
        raise TypeError(f"{_shortened(effect)} is no effect: see the types in the contract.")


def _shortened(effect: object) -> str:
    text = repr(effect)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _write(effect: Append | Replace) -> bool:
    return isinstance(effect.path, str) and isinstance(effect.data, bytes)


def _rename(effect: Rename) -> bool:
    return isinstance(effect.path, str) and isinstance(effect.to, str)


def _truncate(effect: Truncate) -> bool:
    return isinstance(effect.path, str) and isinstance(effect.size, int)


def _remove(effect: Remove) -> bool:
    return isinstance(effect.path, str)


def _sync(effect: Sync) -> bool:
    return isinstance(effect.paths, tuple) and all(isinstance(path, str) for path in effect.paths)


def _send(effect: SendDatagram) -> bool:
    return (
        isinstance(effect.data, bytes) and isinstance(effect.port, int) and _is_address(effect.to)
    )


def _open_stream(effect: OpenStream) -> bool:
    return isinstance(effect.stream, str) and _is_address(effect.to)


def _write_stream(effect: WriteStream) -> bool:
    return isinstance(effect.stream, str) and isinstance(effect.data, bytes)


def _close_stream(effect: CloseStream) -> bool:
    return isinstance(effect.stream, str)


def _is_address(to: object) -> bool:
    return isinstance(to, Address) and isinstance(to.host, str) and isinstance(to.port, int)


def _run_engine(effect: RunEngine) -> bool:
    return isinstance(effect.run, str) and _is_job(effect.job)


def _stop_engine(effect: StopEngine) -> bool:
    return isinstance(effect.run, str)


def _is_job(job: object) -> bool:
    match job:
        case MakeDelta(source, target):
            return isinstance(source, bytes) and isinstance(target, bytes)
        case ApplyDelta(source, delta, most_bytes):
            parts = isinstance(source, bytes) and isinstance(delta, bytes)
            return parts and isinstance(most_bytes, int)
        case ServeTree(port, root):
            return isinstance(port, int) and _is_folder(root)
        case PullTree(peer, folder, like, into, most_bytes):
            folders = _is_folder(folder) and _is_folder(like) and _is_folder(into)
            return folders and _is_address(peer) and isinstance(most_bytes, int)
        case DrawDay(document):
            return isinstance(document, bytes)
    return False


def _is_folder(path: object) -> bool:
    return isinstance(path, str) and path.endswith("/")


def _publish(effect: Publish) -> bool:
    return isinstance(effect.topic, str)


def _log(effect: Log) -> bool:
    return (
        isinstance(effect.what, str)
        and isinstance(effect.detail, Mapping)
        and all(
            isinstance(key, str) and isinstance(value, str | int)
            for key, value in effect.detail.items()
        )
    )


_SOUND: Mapping[type, Callable[..., bool]] = {
    Append: _write,
    Replace: _write,
    Rename: _rename,
    Truncate: _truncate,
    Remove: _remove,
    Sync: _sync,
    SendDatagram: _send,
    OpenStream: _open_stream,
    WriteStream: _write_stream,
    CloseStream: _close_stream,
    RunEngine: _run_engine,
    StopEngine: _stop_engine,
    Publish: _publish,
    Log: _log,
}
