import pytest
from hypothesis import given
from hypothesis import strategies as st

from pombo.text import gsm7
from pombo.text.split import count_gsm, count_ucs2, split_gsm, split_ucs2

GSM = gsm7.BASIC.replace("\x1b", "") + "".join(gsm7.EXTENSION)
GSM_TEXTS = st.lists(
    st.one_of(
        st.text(alphabet=GSM, max_size=20),
        st.builds(lambda char, times: char * times, st.sampled_from("aé€["), st.integers(0, 160)),
    ),
    max_size=5,
).map("".join)
UCS2_TEXTS = st.lists(
    st.one_of(
        st.text(max_size=20),
        st.builds(lambda char, times: char * times, st.sampled_from("aã😀"), st.integers(0, 70)),
    ),
    max_size=5,
).map("".join)
# Header with an 8-bit reference, with a 16-bit one, and the smallest room there is: cuts everywhere.
GSM_ROOM = st.sampled_from([(160, 153), (160, 152), (2, 2), (3, 3)])
UCS2_ROOM = st.sampled_from([(70, 67), (70, 66), (2, 2), (3, 3)])


def units(text: str) -> int:
    return len(text.encode("utf-16-be")) // 2


@given(GSM_TEXTS, GSM_ROOM)
def test_gsm_parts_join_to_the_text_and_leave_no_room_unused(text: str, room: tuple[int, int]) -> None:
    single, part = room
    parts = split_gsm(text, single, part)
    sizes = [gsm7.septets(piece) or 0 for piece in parts]
    assert "".join(parts) == text
    assert len(parts) == count_gsm(text, single, part)
    if len(parts) == 1:
        assert sizes[0] <= single
    else:
        assert gsm7.septets(text) > single  # type: ignore[operator]
        assert max(sizes) <= part
        for size, follower in zip(sizes, parts[1:], strict=False):
            assert size + (gsm7.septets(follower[0]) or 0) > part


@given(UCS2_TEXTS, UCS2_ROOM)
def test_ucs2_parts_join_to_the_text_and_leave_no_room_unused(text: str, room: tuple[int, int]) -> None:
    single, part = room
    parts = split_ucs2(text, single, part)
    sizes = [units(piece) for piece in parts]
    assert "".join(parts) == text
    assert len(parts) == count_ucs2(text, single, part)
    if len(parts) == 1:
        assert sizes[0] <= single
    else:
        assert units(text) > single
        assert max(sizes) <= part
        for size, follower in zip(sizes, parts[1:], strict=False):
            assert size + units(follower[0]) > part


def test_a_16_bit_reference_leaves_152_septets_and_66_code_units() -> None:
    assert [len(piece) for piece in split_gsm("a" * 305, part=152)] == [152, 152, 1]
    assert [len(piece) for piece in split_ucs2("ã" * 133, part=66)] == [66, 66, 1]


def test_a_text_that_gsm_lacks_is_not_split_nor_counted() -> None:
    assert count_gsm("não") is None
    with pytest.raises(ValueError, match="not in the GSM alphabet"):
        split_gsm("não")
