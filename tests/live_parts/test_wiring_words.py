"""What is said where no link can be emulated."""

import pytest

from fieldproof.live import wiring
from fieldproof.live.messages import NotHere, Request
from fieldproof.options import LiveOptions
from fieldproof.scenario import Center, Link, Scenario, Site
from fieldproof_simulators.links.live.ports import LinkError

SCENARIO = Scenario(
    name="two-minutes",
    story="Nothing goes wrong.",
    starts="2006-01-16T23:59Z",
    lasts="2m",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat"), Center()),
    tiers=("live",),
    lead="10s",
)


def test_each_way_that_was_tried_in_vain_has_a_sentence(monkeypatch, tmp_path):
    """Whether the tool ended its words with a full stop or not, there is one, and a space."""
    faults = iter([LinkError("No device\n can be made."), PermissionError(1, "Not permitted")])

    def attach(*asked):
        raise next(faults)

    monkeypatch.setattr(wiring, "new_netns", lambda: wiring.os.open(tmp_path, wiring.os.O_RDONLY))
    monkeypatch.setattr(wiring, "ATTACH", {"tun": attach, "packet": attach})
    request = Request(SCENARIO, 1, "", "", "own namespaces", LiveOptions())
    with pytest.raises(NotHere) as caught, wiring.wire(request):
        pass
    assert (
        "No link can be emulated here. tun: No device can be made. packet: [Errno 1] Not permitted."
    ) == str(caught.value)
