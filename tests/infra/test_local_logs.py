import logging

import logs


def test_a_line_says_what_the_record_carries() -> None:
    record = logging.makeLogRecord(
        {"name": "commonplace.worker", "levelname": "WARNING", "msg": "late", "memory": "m1"}
    )
    assert logs.Lines().format(record) == "WARNING commonplace.worker: late memory='m1'"
