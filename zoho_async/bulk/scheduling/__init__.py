"""When calls may be made, and when they will be done."""
