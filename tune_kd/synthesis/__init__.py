"""Images that are made out of a teacher: methods, and the pool of images that students are then trained on."""
