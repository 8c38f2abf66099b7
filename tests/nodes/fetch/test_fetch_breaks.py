"""Connections break, servers are silent or mad: the hours end as the edge's all the same."""

import re

import pytest

from fieldproof_reference.protocols.httprange import Server


def test_the_rest_is_asked_for_after_a_break(kit, rig):
    """A file whose transfer broke is asked for from where it stopped, if it is still the same."""
    center, edge = rig.scene(kit, rig.hours(kit, 14, 15))
    edge.breaks = [10_000]
    center.run(60)
    assert rig.same(center, edge)
    got = 10_000 - len(Server(edge.disk, "riometer/").hear(head(kit.path(13))))
    asked = [line for line in edge.asked if "13 daws" in line]
    assert ["GET 13 daws", f"GET 13 daws {got}-22799"] == asked


def head(path):
    return f"HEAD /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


@pytest.mark.parametrize(
    "answer", [None, lambda response: response.replace(b'ETag: "', b'ETag: "0')]
)
def test_a_file_that_changes_on_the_way(kit, rig, answer):
    """Where the file is another after the break, it comes from the beginning, and no byte of the
    old one stays (T10)."""
    center, edge = rig.scene(kit, rig.hours(kit, 14, 15))
    edge.breaks = [10_000]
    center.run(3)
    assert 9_000 < len(center.disk.under("staging/")["staging/daws/20060117_13.part"])
    edge.disk.files[kit.path(13)] = rig.hours(kit, 13, without=(13 * 60 + 7,))[kit.path(13)]
    if answer:
        edge.answer = answer
    center.run(100)
    assert rig.same(center, edge)
    assert {13, 14, 15} == {hour for hour, _ in center.proven()}


def test_a_dark_link_is_tried_again_and_again(kit, rig):
    """A site that does not answer for a day is tried some dozen times, and an hour later at most
    everything is there."""
    center, edge = rig.scene(kit, {})
    edge.up = False
    center.run(86_400)
    assert 20 < edge.opened < 60
    edge.up = True
    center.run(2 * 3_600)
    assert rig.same(center, edge)


def test_a_server_that_says_nothing(kit, rig):
    """A connection on which nothing comes is given up after a minute, and opened again."""
    center, edge = rig.scene(kit, rig.hours(kit, 13, 14, 15))
    edge.silent = True
    center.run(59)
    assert 1 == edge.opened == len(center.streams)
    center.run(600)
    assert {"silence"} == {said["why"] for said in center.said("no answer")}
    edge.silent = False
    center.run(3_600)
    assert {13, 14, 15} == {hour for hour, _ in center.proven()}


@pytest.mark.parametrize(
    "answer",
    [
        lambda response: b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        lambda response: response.replace(b"200 OK", b"503 Busy").replace(b"206 P", b"503 P"),
        lambda response: response.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n", 1),
        lambda response: re.sub(rb"sha-256=:....", b"sha-256=:AAAA", response),
        lambda response: re.sub(rb"HTTP/1.1 \d+", b"HTTP/1.1 403", response),
        lambda response: re.sub(rb"Content-Length: \d+", b"Content-Length: 9999999", response),
        lambda response: response[:-1] + b"\7",
        lambda response: b"",
    ],
)
def test_a_server_that_talks_nonsense(kit, rig, answer):
    """What such a server says changes nothing and is not asked for without pause; when it comes to
    its senses, the hours end as the edge's."""
    files = rig.hours(kit, 13, 14, 15, without=(14 * 60 + 20,))
    center, edge = rig.scene(kit, files)
    edge.answer = answer
    center.run(3_600)
    assert {**files, kit.path(16): kit.record(57_605)} == center.canonical()
    assert len(edge.asked) < 40
    edge.answer = lambda response: response
    center.run(8 * 3_600)
    assert rig.same(center, edge)


PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\nPay up"


@pytest.mark.parametrize("files", [(13, 14, 15), (13, 15), ()])
def test_a_page_of_somebody_on_the_way(kit, rig, files):
    """A provider who answers every request by a page of his own changes nothing, and stops nothing
    once he lets through."""
    before = rig.hours(kit, *files, without=(14 * 60 + 3,))
    center, edge = rig.scene(kit, before)
    edge.answer = lambda response: PAGE
    center.run(3_600)
    assert {**before, kit.path(16): kit.record(57_605)} == center.canonical()
    assert len(edge.asked) < 40
    edge.answer = lambda response: response
    center.run(2 * 3_600)
    assert rig.same(center, edge)


def test_a_file_that_is_too_large_stops_no_other(kit, rig):
    """An hour that nobody could have filled is left alone, and reported; the others are fetched."""
    files = rig.edge_files(kit)
    files[kit.path(13)] = bytes(1 << 21)
    center, _ = rig.scene(kit, {}, files)
    center.run(600)
    assert {14, 15} == {hour for hour, _ in center.proven()}
    assert (
        "the file has 2097152 bytes, 1048576 are the most"
        in (center.said("answer not usable")[0]["why"])
    )
