"""The table of starts from no engine."""

from __future__ import annotations

from penstock.assembly.cold_start import ColdStart, told


def test_what_a_start_takes_on_top_counts_up_to_the_last_answer() -> None:
    assert ColdStart(bare=20.0, first=22.0, last=23.5, answered=50).added == 3.5


def test_each_pair_has_a_row_and_the_medians_come_last() -> None:
    found = [ColdStart(20.0, 22.0, 23.0, 50), ColdStart(30.0, 31.0, 31.5, 49), ColdStart(21.0, 20.0, 20.5, 50)]
    *_, first, second, third, medians = told(found, 50).splitlines()
    assert first == "| 1 | 20.0 | 22.0 | 23.0 | +3.0 | 50 of 50 |"
    assert second == "| 2 | 30.0 | 31.0 | 31.5 | +1.5 | 49 of 50 |"
    assert third == "| 3 | 21.0 | 20.0 | 20.5 | -0.5 | 50 of 50 |"
    assert medians == "| median | 21.0 | 22.0 | 23.0 | +1.5 | |"
