"""The deployable: settings, URLs, Celery, and where each context runs."""
