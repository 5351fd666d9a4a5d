from hypothesis import given, settings
from hypothesis import strategies as st

from commonplace.core.summary import MOST_CHARACTERS, summarized


def test_nothing_sums_up_to_nothing() -> None:
    assert summarized([]) == ""
    assert summarized(["", " \n "]) == ""


def test_what_is_short_is_told_whole_and_in_its_own_order() -> None:
    assert summarized(["The build failed. We fixed it.", "It was the cache!"]) == (
        "The build failed. We fixed it. It was the cache!"
    )


def test_what_is_said_twice_is_told_once() -> None:
    assert summarized(["The build failed.", "The build failed.\nWe fixed it."]) == "The build failed. We fixed it."


def test_of_too_much_the_sentences_that_share_the_topic_are_kept() -> None:
    contents = ["The retry queue lost messages.", "Lunch was fine.", "We fixed the retry queue.", "Nice weather."]
    assert summarized(contents, 60) == "The retry queue lost messages. We fixed the retry queue."


def test_a_shorter_sentence_takes_the_room_that_a_longer_one_does_not_fit() -> None:
    assert summarized(["retry queue " * 10 + ".", "Short one."], 20) == "Short one."


def test_a_single_sentence_that_is_too_long_is_cut() -> None:
    assert summarized(["x" * 50], 20) == "x" * 20


def test_sentences_of_other_scripts_are_sentences() -> None:
    assert summarized(["会議は月曜です。 議題は予算です。"], 12) in ("会議は月曜です。", "議題は予算です。")


def test_of_very_much_the_beginning_of_each_is_read_and_what_is_short_is_read_whole() -> None:
    ending = "The retry queue lost all its messages."
    long = "The retry queue. " * 20_000 + ending
    short = "retry queue " * 5 + ending
    assert ending not in summarized([long, long])
    assert summarized([long, short, long], 200).endswith(ending)


@settings(derandomize=True, max_examples=60, database=None, deadline=None)
@given(st.lists(st.text(max_size=300), max_size=20))
def test_a_summary_is_bounded_and_says_nothing_that_was_not_written(contents: list[str]) -> None:
    summary = summarized(contents)
    assert len(summary) <= MOST_CHARACTERS
    assert set(summary.split()) <= {word for content in contents for word in content.split()}
