"""Argon2id at 19 MiB, two passes, one lane: OWASP's minimum. Django's default would take 100 MiB a login."""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2id(Argon2PasswordHasher):
    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1
