-- MySQL's image runs this once, when its data directory is new. Keys that differ in case must stay different.
CREATE DATABASE order_db CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
CREATE DATABASE shipping_db CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;
GRANT ALL ON order_db.* TO eci;
GRANT ALL ON shipping_db.* TO eci;
GRANT ALL ON `drill\_%`.* TO eci; -- scratch databases of manage.py restore_drill
