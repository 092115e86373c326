"""A shop of django-oscar, as its documentation sets one up, for measuring beside the product.

It runs in an environment of its own (bench/oscar.py), and imports nothing of the product.
"""
