"""An app so that customers can ask, through config, what the contexts above them know of people."""

from django.apps import AppConfig


class PeopleConfig(AppConfig):
    name = "config.people"
    label = "people"

    def ready(self) -> None:
        from config.people import ties
        from eci import erasure

        erasure.asks(ties.tied)
