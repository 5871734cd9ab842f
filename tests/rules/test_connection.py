"""GOAWAY, keep-alive, idleness, stream limits and the ends of connections."""

from __future__ import annotations

import pytest
from captured import PREFACE, Capture, Connection, findings, rules
from h2_bytes import END_STREAM, PING, REQUEST, data, frame, goaway, message, settings, settings_ack

ANY = 2**31 - 1
GOAWAYS = (
    "goaway-race",
    "goaway-max-requests",
    "goaway-max-age",
    "goaway-max-idle",
    "goaway-graceful-stop",
    "goaway-single-shot",
    "goaway-too-many-pings",
    "goaway-too-many-resets",
    "goaway-error",
)


def after(calls: int) -> Connection:
    connection = Capture().connect().hello()
    for stream in range(1, 2 * calls, 2):
        connection.call(stream)
    return connection


def fired(connection: Connection) -> dict[str, str]:
    """GOAWAY rules that fired, with their severities."""
    return {f.rule: f.severity for f in connection.capture.diagnose().findings if f.rule in GOAWAYS}


def test_a_graceful_goaway_that_costs_nothing_is_information() -> None:
    connection = after(3).server(goaway(ANY, 0)).call(7).server(goaway(7, 0)).close()
    assert fired(connection) == {"goaway-graceful-stop": "info"}


def test_a_call_above_the_last_stream_was_never_processed() -> None:
    connection = after(5).request(11).server(goaway(9, 0)).fin(1).fin(0)
    (race,) = findings(connection, "goaway-race")
    assert (race.severity, race.certainty, race.retry_safe) == ("error", "certain", "yes")
    assert (race.stream, race.details["last_stream"]) == (11, 9)
    (cause,) = findings(connection, "goaway-single-shot")
    assert cause.severity == "warning"
    assert cause.details["lost_calls"] == 1
    assert race.caused_by == cause.id


@pytest.mark.parametrize(("calls", "requests"), [(100, 100), (128, 128)])
def test_a_round_number_of_requests(calls: int, requests: int) -> None:
    connection = after(calls).request(2 * calls + 1).server(goaway(2 * calls - 1, 0)).close()
    (found,) = findings(connection, "goaway-max-requests")
    assert found.details["requests"] == requests
    assert found.certainty == "probable"
    assert found.severity == "warning"
    assert "keepalive_requests" in found.fix
    assert findings(connection, "goaway-race")[0].caused_by == found.id


@pytest.mark.parametrize(
    ("debug", "rule"),
    [
        (b"max_age", "goaway-max-age"),
        (b"max_idle", "goaway-max-idle"),
        (b"graceful_stop", "goaway-graceful-stop"),
        (b"app_requested", "goaway-graceful-stop"),
        (b"session_timed_out", "goaway-graceful-stop"),
    ],
)
def test_debug_data_names_the_reason(debug: bytes, rule: str) -> None:
    connection = after(3).server(goaway(5, 0, debug)).close()
    assert fired(connection) == {rule: "info"}
    (found,) = findings(connection, rule)
    assert (found.certainty, found.details["debug"]) == ("certain", debug.decode())


def test_an_age_near_a_round_period_is_probable() -> None:
    connection = after(3).wait(3600).call(7).server(goaway(7, 0)).close()
    (found,) = findings(connection, "goaway-max-age")
    assert (found.certainty, found.details["limit_seconds"]) == ("probable", 3600)
    assert fired(after(3).wait(1000).call(7).server(goaway(7, 0)).close()) == {"goaway-graceful-stop": "info"}


def test_too_many_pings_gives_the_intervals() -> None:
    connection = after(1)
    for number in range(4):
        connection.wait(10).client(frame(PING, 0, 0, bytes((number,)) * 8)).server(
            frame(PING, 1, 0, bytes((number,)) * 8)
        )
    connection.server(goaway(1, 11, b"too_many_pings")).close()
    (found,) = findings(connection, "goaway-too-many-pings")
    assert found.severity == "error"
    assert found.who == ["client"]
    assert found.details["pings"] == 4
    assert found.details["interval_seconds"] == pytest.approx(10, abs=0.1)


def test_too_many_resets() -> None:
    assert fired(after(2).server(goaway(3, 11, b"too_many_internal_resets")).close()) == {
        "goaway-too-many-resets": "error"
    }


@pytest.mark.parametrize("side", [0, 1])
def test_a_goaway_with_an_error_says_who_sent_it(side: int) -> None:
    connection = after(2).send(side, goaway(3, 2, b"worker crashed")).close()
    (found,) = findings(connection, "goaway-error")
    assert (found.details["by"], found.details["error_code"]) == (("client", "server")[side], 2)
    assert found.details["debug"] == "worker crashed"
    assert found.severity == "error"


def test_an_error_after_an_announcement_is_one_finding() -> None:
    connection = after(1).server(goaway(ANY, 0, b"bye")).server(goaway(1, 2, b"now")).close()
    assert fired(connection) == {"goaway-error": "error"}


def test_a_client_that_says_goodbye_is_silent() -> None:
    assert fired(after(2).client(goaway(0, 0)).close()) == {}


def test_too_many_concurrent_streams() -> None:
    connection = Capture().connect().hello(server=[(3, 2)]).request(1).request(3).answer(1).answer(3).close()
    (found,) = findings(connection, "max-concurrent-streams-wait")
    assert found.severity == "info"
    assert found.details["limit"] == 2


def test_a_limit_of_zero_blocks_every_call() -> None:
    connection = (
        Capture().connect().hello().request().server(settings((3, 0))).client(settings_ack()).answer().wait(3).close()
    )
    (found,) = findings(connection, "max-concurrent-streams-wait")
    assert found.severity == "warning"
    assert found.details["limit"] == 0


def test_a_limit_of_zero_that_is_raised_again_is_silent() -> None:
    connection = Capture().connect().hello().request().server(settings((3, 0)), settings((3, 100))).answer().close()
    assert not findings(connection, "max-concurrent-streams-wait")


def unanswered(wait: float) -> Connection:
    return after(1).client(frame(PING, 0, 0, b"keepaliv")).wait(wait)


def test_a_ping_that_is_never_answered() -> None:
    (found,) = findings(unanswered(20).fin(0), "keepalive-unanswered")
    assert (found.details["by"], found.details["tcp_acknowledged"]) == ("server", True)
    assert found.who[0] == "server"
    assert found.details["seconds"] == pytest.approx(20, abs=0.1)


def test_a_ping_just_before_the_end_is_silent() -> None:
    assert not findings(unanswered(0.1).fin(0), "keepalive-unanswered")


def test_an_answered_ping_is_silent() -> None:
    connection = after(1).client(frame(PING, 0, 0, b"keepaliv")).server(frame(PING, 1, 0, b"keepaliv")).wait(20).fin(0)
    assert not findings(connection, "keepalive-unanswered")


def test_a_peer_that_still_sends_is_alive() -> None:
    connection = unanswered(5).call(3).wait(20).fin(0)
    assert not findings(connection, "keepalive-unanswered")


def idle(seconds: float) -> Connection:
    connection = after(2).wait(seconds)
    connection.client(connection.peers[0].headers(5, REQUEST), data(5, message(b"ask"), END_STREAM), acked=False)
    return connection.rst(1)


def test_a_connection_that_was_cut_while_idle() -> None:
    connection = idle(350.5)
    (found,) = findings(connection, "idle-cut")
    assert found.details["idle_seconds"] == pytest.approx(350.5, abs=0.1)
    assert "NLB" in found.explanation
    assert found.certainty == "probable"
    (cut,) = findings(connection, "body-cut-connection")
    assert cut.caused_by == found.id


def test_a_reset_without_idleness_is_another_thing() -> None:
    assert not findings(idle(3), "idle-cut")


def test_close_without_goaway_speaks_where_no_call_can_be_judged() -> None:
    capture = Capture()
    connection = capture.connect(syn=False)
    connection.server(data(1, message(b"x" * 40)), data(1, message(b"y" * 40)))
    connection.request(3).headers(3).server(data(3, message(b"z"))).fin(1)
    diagnosis = capture.diagnose()
    assert {"close-without-goaway", "body-cut-connection"} & {f.rule for f in diagnosis.findings}


def test_stream_ids_near_their_end() -> None:
    connection = Capture().connect().hello().call(2**31 - 101).close()
    (found,) = findings(connection, "stream-ids-exhausted")
    assert found.details["left"] == 50
    assert not findings(Capture().connect().hello().call(1001).close(), "stream-ids-exhausted")


def test_close_before_settings() -> None:
    connection = Capture().connect().client(PREFACE, settings()).request().fin(1).fin(0)
    (found,) = findings(connection, "close-before-settings")
    assert found.severity == "error"
    assert not findings(Capture().connect().hello().fin(1).fin(0), "close-before-settings")
    assert not findings(Capture().connect().fin(1).fin(0), "close-before-settings")


def test_a_healthy_connection_is_silent() -> None:
    connection = after(20).close()
    assert not rules(connection)
    assert fired(connection) == {}
