"""Running the product: processes, migrations, backups and metrics.

Nothing is imported here: ``worker_metrics`` must load before prometheus_client does.
"""
