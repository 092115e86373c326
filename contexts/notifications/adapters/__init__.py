"""The mail server and the SMS gateway."""


class NotDelivered(Exception):
    """A message was not accepted. ``answer`` says why in words; ``permanent``: asking again would not help."""

    def __init__(self, answer: str, *, permanent: bool = False) -> None:
        super().__init__(answer)
        self.answer = answer
        self.permanent = permanent
