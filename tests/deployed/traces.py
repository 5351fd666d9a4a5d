"""What the tests write that must not be found in any log."""

CONTENT = "The night ferry to Mola leaves from pier seventeen"
