"""The outside world of notifications: the mail server, the SMS gateway, and how they refuse."""


class NotDelivered(Exception):
    """A notification was not accepted. ``answer`` says why in words; ``permanent``: trying again would not help."""

    def __init__(self, answer: str, *, permanent: bool = False) -> None:
        super().__init__(answer)
        self.answer = answer
        self.permanent = permanent
