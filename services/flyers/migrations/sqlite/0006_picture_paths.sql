-- From a file to the row that names it: what is asked about each file found in the trash.
CREATE INDEX flyer_images_path ON flyer_images (path);
CREATE INDEX profiles_picture ON profiles (profile_picture) WHERE profile_picture IS NOT NULL;
