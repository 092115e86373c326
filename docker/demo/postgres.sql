-- PostgreSQL's image runs this once, when its data directory is new. Of the open demonstration (docker-compose.yml).
CREATE DATABASE platform_db;
CREATE DATABASE catalog_db;
CREATE DATABASE inventory_db;
CREATE DATABASE customer_db;
CREATE DATABASE payment_db;
CREATE DATABASE notifications;
