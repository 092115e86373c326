"""How pages write times, by language; Django finds it by ``FORMAT_MODULE_PATH``."""
