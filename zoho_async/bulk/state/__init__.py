"""What a push keeps on disk."""
