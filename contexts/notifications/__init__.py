"""Notifications to buyers, by e-mail and SMS, with a record of every attempt to send one."""
