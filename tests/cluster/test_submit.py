"""A log that is followed is written once and whole, however often the connection is lost."""

from hypothesis import given
from hypothesis import strategies as st

from cluster.submit import _Log

LOG = "".join(f"line {number}\n" for number in range(12))


@given(
    lost=st.lists(st.integers(0, len(LOG)), max_size=4),
    piece=st.integers(1, 30),
)
def test_log_is_written_once_and_whole_across_lost_connections(lost: list[int], piece: int) -> None:
    written: list[str] = []
    log = _Log(written.append)
    for end in (*lost, len(LOG)):
        place = 0
        for start in range(0, end, piece):
            place = log.take(LOG[start : min(start + piece, end)], place)
        assert place == end
    log.take(LOG, 0)
    assert "".join(written) == LOG
