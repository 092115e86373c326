-- MySQL's image runs this once, when its data directory is new. Of the open demonstration (docker-compose.yml), in which
-- orders and shipments share a database. Keys that differ in case must stay different.
CREATE DATABASE order_db CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
GRANT ALL ON order_db.* TO eci;
