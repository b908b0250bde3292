-- no-transaction
CREATE INDEX CONCURRENTLY profiles_picture ON profiles (profile_picture) WHERE profile_picture IS NOT NULL;
