"""Files of weights that do not come with the extension: what they are, the folder they live in, their download."""
