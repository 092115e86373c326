"""An app so that Django finds its commands, templates and admin pages. Its tables are those of the app ``staff``."""

from django.apps import AppConfig


class BooksConfig(AppConfig):
    name = "config.books"
    label = "books"
