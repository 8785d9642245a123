"""The shell around a core: order of effects, failed sends, posted events, ticks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shardstore.seams.effects import Effect, Received, Send, SendFailed, StartJob, Stop, StopRequested, Tick
from shardstore.system.event_loop import GATHER_NS, GATHERED_MAX, LATE_NS, SHOW_LIFE_NS, EventLoop


class Script:
    """A core, a transport and a clock in one: records what happens, and returns scripted effects for events."""

    def __init__(self, answers: dict[type, list[Effect]], wakeup_ns: int | None = None) -> None:
        self.answers = answers
        self.due_ns = wakeup_ns
        self.seen: list[Any] = []
        self.done: list[Any] = []
        self.timeouts: list[int | None] = []
        self.unreachable: set[bytes] = set()
        self.inbox: list[list[Received]] = []
        self.woken = 0
        self.renewed = 0
        self.time_ns = 1_000
        self.step_ns = 0

    def start(self, now_ns: int) -> list[Effect]:
        """The effects before the first event."""
        return self.answers.get(Script, [])

    def handle(self, event: Any, now_ns: int) -> list[Effect]:
        """Handle an event."""
        self.seen.append(event)
        if type(event) is Tick:
            self.due_ns = None
        return self.answers.get(type(event), [])

    def end_turn(self, now_ns: int) -> list[Effect]:
        """The effects of the end of a turn."""
        return []

    def wakeup_ns(self) -> int | None:
        """The time at which the next Tick is due."""
        return self.due_ns

    def now_ns(self) -> int:
        """The time, which stands still unless `step_ns` is set."""
        self.time_ns += self.step_ns
        return self.time_ns

    def send(self, link: str, peer: bytes, frames: Sequence[bytes]) -> bool:
        """Send a message, unless the peer is unreachable."""
        self.done.append(peer)
        return peer not in self.unreachable

    def send_all(self, link: str, peer: bytes, messages: Sequence[Sequence[bytes]]) -> bool:
        """Send several messages at once, unless the peer is unreachable."""
        self.done.append((peer, len(messages)))
        return peer not in self.unreachable

    def receive(self, timeout_ns: int | None) -> list[Received]:
        """The next messages of the inbox."""
        self.timeouts.append(timeout_ns)
        return self.inbox.pop(0) if self.inbox else []

    def renew(self) -> None:
        """Count the call."""
        self.renewed += 1

    def wake(self) -> None:
        """Count."""
        self.woken += 1


def loop_of(script: Script) -> EventLoop:
    return EventLoop(script, script, script, script.done.append, shared=("link",))  # type: ignore[arg-type]


def test_life_is_shown_between_events_and_in_an_idle_loop() -> None:
    shown: list[int] = []
    script = Script({Tick: [Stop()]}, wakeup_ns=None)
    loop = EventLoop(script, script, script, script.done.append, lambda: shown.append(len(script.seen)))  # type: ignore[arg-type]
    script.inbox = [[Received("link", b"", [])] * 2]
    script.step_ns = LATE_NS
    loop.turn()
    assert shown == [1], "after the first of two slow events, and not again before a second is over"
    script.step_ns = 0
    shown_ns = loop._life_due_ns - SHOW_LIFE_NS
    loop.turn()
    assert script.timeouts == [0, shown_ns + SHOW_LIFE_NS - script.time_ns], "an idle loop wakes for it"
    assert shown == [1]


def to(peer: bytes) -> Send:
    return Send("link", peer, [])


def test_effects_are_executed_in_order() -> None:
    job = StartJob(1, None)
    script = Script({Script: [to(b"a"), job, to(b"b"), Stop("over")]})
    assert loop_of(script).run() == Stop("over")
    assert script.done == [b"a", job, b"b"]
    assert script.timeouts == []


def test_a_failed_send_comes_back_after_the_effects_it_stood_among() -> None:
    script = Script({Script: [to(b"gone"), to(b"a")], SendFailed: [to(b"b"), Stop()]})
    script.unreachable = {b"gone"}
    loop_of(script).run()
    assert script.seen == [SendFailed("link", b"gone", [])]
    assert script.done == [b"gone", b"a", b"b"]


def test_messages_come_before_posted_events_and_both_before_the_tick() -> None:
    message = Received("link", b"a", [])
    script = Script({Tick: [Stop()]}, wakeup_ns=1_000)
    script.inbox = [[message, message]]
    loop = loop_of(script)
    loop.post(StopRequested())
    loop.run()
    assert script.seen == [message, message, StopRequested(), Tick()]
    assert script.woken == script.renewed == 1


def test_many_messages_do_not_delay_what_is_posted_or_due() -> None:
    message = Received("link", b"a", [])
    script = Script({StopRequested: [Stop()]}, wakeup_ns=1_000)
    script.step_ns = LATE_NS // 3
    script.inbox = [[message] * 9]
    loop = loop_of(script)
    loop.post(StopRequested())
    loop.run()
    assert script.seen.index(StopRequested()) < script.seen.index(Tick()) < 6 < len(script.seen)


class Together(Script):
    """Answers each message with one to its sender, and notes what is sent together."""

    def handle(self, event: Any, now_ns: int) -> list[Effect]:
        """Answer a message; ignore what follows from failed sends."""
        self.seen.append(event)
        return [Send(event.link, event.peer, event.frames)] if type(event) is Received else []

    def send_all(self, link: str, peer: bytes, messages: Sequence[Sequence[bytes]]) -> bool:
        """Send several messages, unless the peer is unreachable."""
        self.done.append((peer, [*messages]))
        return peer not in self.unreachable


def from_peer(peer: bytes, *bodies: bytes) -> list[Received]:
    return [Received("link", peer, [body]) for body in bodies]


def test_answers_to_several_messages_are_sent_together_to_each_peer_in_order() -> None:
    script = Together({})
    script.inbox = [[*from_peer(b"a", b"1"), *from_peer(b"b", b"2"), *from_peer(b"a", b"3")], from_peer(b"a", b"4")]
    script.unreachable = {b"a"}
    loop = loop_of(script)
    loop.turn(wait=False)
    assert script.done == [(b"a", [[b"1"], [b"3"]]), (b"b", [[b"2"]])]
    assert script.seen[3:] == [SendFailed("link", b"a", [b"1"]), SendFailed("link", b"a", [b"3"])]
    loop.turn(wait=False)
    assert script.done[2:] == [b"a"], "one alone is sent as it is"


def test_messages_over_a_link_of_one_peer_each_do_not_wait() -> None:
    script = Together({})
    script.inbox = [[*from_peer(b"a", b"1"), Received("other", b"b", [b"2"]), *from_peer(b"a", b"3")]]
    loop_of(script).turn(wait=False)
    assert script.done == [b"b", (b"a", [[b"1"], [b"3"]])]


def test_not_too_many_messages_wait_for_each_other() -> None:
    script = Together({})
    script.inbox = [from_peer(b"a", *[b"m"] * (GATHERED_MAX + 1))]
    loop_of(script).turn(wait=False)
    assert [len(messages) for _, messages in script.done] == [GATHERED_MAX, 1]


def test_messages_do_not_wait_for_each_other_when_it_takes_long() -> None:
    script = Together({})
    script.step_ns = GATHER_NS // 2
    script.inbox = [from_peer(b"a", *[b"m"] * 5)]
    loop_of(script).turn(wait=False)
    assert [len(messages) for _, messages in script.done] == [2, 2, 1]


def test_the_wait_ends_when_the_core_wants_its_tick() -> None:
    script = Script({Received: [Stop()]}, wakeup_ns=1_500)
    script.inbox = [[], [Received("link", b"a", [])]]
    loop_of(script).run()
    assert script.timeouts == [500, 500]
    assert Tick() not in script.seen


def test_the_wait_has_no_end_when_nothing_is_due_and_none_when_events_are_posted() -> None:
    script = Script({Received: [Stop()]})
    script.inbox = [[], [Received("link", b"a", [])]]
    loop = loop_of(script)
    loop.post(StopRequested())
    loop.run()
    assert script.timeouts == [0, None]
