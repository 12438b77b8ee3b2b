// the buffer that is built: rows of up to 1024 pixels
