-- no-transaction
CREATE INDEX CONCURRENTLY flyer_images_path ON flyer_images (path);
