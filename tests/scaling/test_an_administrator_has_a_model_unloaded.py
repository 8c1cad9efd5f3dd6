"""A wish that a model stops its replicas: granted once nobody uses it, forgotten where somebody goes on."""

from __future__ import annotations

import threading

from penstock.scaling.explanation import Seen
from penstock.scaling.rest import PATIENCE, RestWish

IDLE = Seen(1, 1, 0, in_engines=0, queued=0, waiting=0, missing=0, kv_usage=0, needed=0, idle=5)


class Board:
    """Implements `Wishes`; `gone` makes it fail, `gate` holds it up."""

    def __init__(self) -> None:
        self.mark = ""
        self.gone = False
        self.gate = threading.Event()
        self.gate.set()

    def ask_for_rest(self, model: str) -> None:
        self.mark += "x"

    def rest(self, model: str) -> str:
        self.gate.wait(60)
        if self.gone:
            raise ConnectionError("Ray's store is away")
        return self.mark


class World:
    """Decisions every two seconds, each after the look of the one before has ended."""

    def __init__(self) -> None:
        self.board = Board()
        self.now = 1000.0
        self.wish = RestWish("m", self.board)
        self.decide()
        self.decide()

    def decide(self, seen: Seen = IDLE) -> bool:
        self.now += 2
        granted = self.wish.granted(seen, self.now)
        assert self.wish._pending is not None
        if self.board.gate.is_set():
            self.wish._pending.exception(60)
        return granted

    def decisions(self, count: int, seen: Seen = IDLE) -> list[bool]:
        return [self.decide(seen) for _ in range(count)]


def test_nobody_wished_anything():
    assert not any(World().decisions(5))


def test_a_wish_is_granted_until_the_replicas_are_gone_and_then_no_more():
    world = World()
    world.board.ask_for_rest("m")
    assert world.decisions(3) == [False, True, True]
    assert not world.decide(IDLE._replace(asked=0))
    assert not any(world.decisions(5)), "a model that was woken meanwhile stays"


def test_whoever_uses_the_model_finishes_first():
    world = World()
    world.board.ask_for_rest("m")
    for busy in ({"in_engines": 1}, {"queued": 1}, {"waiting": 1}, {"missing": 1}):
        assert not any(world.decisions(2, IDLE._replace(**busy)))
    assert world.decide()


def test_a_wish_is_forgotten_where_somebody_goes_on():
    world = World()
    world.board.ask_for_rest("m")
    world.decisions(int(PATIENCE / 2) + 3, IDLE._replace(in_engines=1))
    assert not any(world.decisions(3))
    world.board.ask_for_rest("m")
    assert world.decisions(3) == [False, True, True]


def test_what_was_wished_before_it_looked_is_no_wish():
    board = Board()
    board.mark = "of yesterday"
    world = World.__new__(World)
    world.board, world.now, world.wish = board, 0.0, RestWish("m", board)
    assert not any(world.decisions(5))


def test_a_store_that_is_away_or_slow_holds_nobody_up():
    world = World()
    world.board.gone = True
    assert not any(world.decisions(3))
    world.board.gone = False
    world.decide()
    world.board.gate.clear()
    world.board.ask_for_rest("m")
    assert not any(world.decisions(3))
    world.board.gate.set()
    assert any(world.decisions(4))
