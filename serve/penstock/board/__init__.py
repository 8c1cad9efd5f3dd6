"""What replicas say of themselves, and where it is read."""

from penstock.board.board import Board, MemoryBoard
from penstock.board.report import Failure, Phase, PhaseMark, ReplicaReport

__all__ = ["Board", "Failure", "MemoryBoard", "Phase", "PhaseMark", "ReplicaReport"]
