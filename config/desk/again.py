"""Send a notification again, to the address that its buyer has now or to another one."""

from __future__ import annotations

from django import forms

from contexts.notifications.public.api import notifications
from contexts.notifications.public.contracts import NoticeRecord, NotificationStatus, SentAgain
from eci.forms import CardlessTextField

_REASONS = ("it never arrived", "the address was wrong", "the customer asks for it")
_OTHER = "other"


class AgainForm(forms.Form):
    recipient = CardlessTextField(
        label="Another address",
        max_length=320,
        required=False,
        help_text="An e-mail address or a phone number, for this one only. Empty: the buyer's own, as it is now.",
    )
    reason = forms.ChoiceField(choices=[("", "choose"), *((one, one) for one in _REASONS), (_OTHER, "other, in words")])
    words = CardlessTextField(label="In words", max_length=200, required=False)

    def clean(self) -> None:
        if self.cleaned_data.get("reason") == _OTHER and not self.cleaned_data.get("words"):
            self.add_error("words", "Say the reason in words.")

    def send(self, notice: NoticeRecord, *, actor: str, key: str) -> SentAgain:
        chosen, words = self.cleaned_data["reason"], self.cleaned_data["words"]
        return notifications.send_again(
            notification_id=notice.notification_id,
            reason=words if chosen == _OTHER else ": ".join(filter(None, (chosen, words))),
            actor=actor,
            key=key,
            recipient=self.cleaned_data["recipient"],
        )


def opened(notice: NoticeRecord) -> AgainForm:
    """A form in which one begins where one will: at the address, if the last one failed."""
    form = AgainForm(initial={"reason": _REASONS[1] if notice.status == NotificationStatus.FAILED else ""})
    first = "recipient" if notice.status == NotificationStatus.FAILED else "reason"
    form.fields[first].widget.attrs["autofocus"] = True
    return form
