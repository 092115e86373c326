"""Notices to buyers, by e-mail and SMS, and the record of every attempt."""
