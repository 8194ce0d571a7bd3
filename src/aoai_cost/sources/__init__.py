"""Where data is, and what is in it before anybody knows what it says: files and blobs, unpacked and cut, as records."""
