"""What is done to sound or features on purpose: pitch, speed, noise, masks."""
